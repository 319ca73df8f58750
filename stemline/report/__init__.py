"""Self-contained HTML pages: about a run, and about a dataset or a release of it."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from stemline.ledger import Ledger
from stemline.manifest.source_root import NOWHERE, SourceRoot
from stemline.report.digest import gather
from stemline.report.page import render
from stemline.report.page_file import check_out, link_root, write_out
from stemline.storage import Store

__all__ = ["write_report", "write_report_file"]


def write_report(ledger: Ledger, store: Store, run_id: str, root: SourceRoot = NOWHERE) -> str:
    """Write the page about a run into the dataset and give its key; it may be written again at any time.

    Sources are called from `root` in it. Its size and the memory it takes do not grow with the number of tracks. Raises
    LedgerConflict when the ledger knows no such run, and StorageError when the dataset cannot be written.
    """
    key = f"_stemline/runs/{run_id}.html"
    store.put_bytes(key, render(gather(ledger, store, run_id, root)).encode("utf-8", "replace"))
    return key


def write_report_file(ledger: Ledger, store: Store, run_id: str, root: SourceRoot, out: Path) -> str:
    """Do as `write_report`, into a file of a person's own, and give its path; raises UsageError where it is none."""
    check_out(out)
    digest = gather(ledger, store, run_id, root)
    return write_out(out, render(replace(digest, link_root=link_root(store, out))))
