"""One self-contained HTML page about a run."""

from __future__ import annotations

from stemline.ledger import Ledger
from stemline.manifest.source_root import NOWHERE, SourceRoot
from stemline.report.digest import gather
from stemline.report.page import render
from stemline.storage import Store

__all__ = ["write_report"]


def write_report(ledger: Ledger, store: Store, run_id: str, root: SourceRoot = NOWHERE) -> str:
    """Write the page about a run into the dataset and give its key; it may be written again at any time.

    Sources are called from `root` in it. Its size and the memory it takes do not grow with the number of tracks. Raises
    LedgerConflict when the ledger knows no such run, and StorageError when the dataset cannot be written.
    """
    key = f"_stemline/runs/{run_id}.html"
    store.put_bytes(key, render(gather(ledger, store, run_id, root)).encode("utf-8", "replace"))
    return key
