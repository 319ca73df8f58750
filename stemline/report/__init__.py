"""Self-contained HTML pages: about a run, and about a dataset or a release of it."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from stemline.ledger import Ledger
from stemline.manifest.source_root import NOWHERE, SourceRoot
from stemline.report.digest import RunDigest, gather
from stemline.report.page import render
from stemline.report.page_file import check_out, link_root, write_out
from stemline.storage import Store

__all__ = ["write_report", "write_report_file"]


def write_report(
    ledger: Ledger, store: Store, run_id: str, root: SourceRoot = NOWHERE, *, has_previews: bool = True
) -> str:
    """Write the page about a run into the dataset and give its key; it may be written again at any time.

    Sources are called from `root` in it. Its size and the memory it takes do not grow with the number of tracks.
    Without `has_previews` no audio is read. Raises LedgerConflict when the ledger knows no such run, and
    StorageError when the dataset cannot be written.
    """
    key = f"_stemline/runs/{run_id}.html"
    digest = _previewed(gather(ledger, store, run_id, root), ledger, store, has_previews=has_previews)
    store.put_bytes(key, render(digest).encode("utf-8", "replace"))
    return key


def write_report_file(ledger: Ledger, store: Store, run_id: str, root: SourceRoot, out: Path) -> str:
    """Do as `write_report`, into a file of a person's own, and give its path; raises UsageError where it is none."""
    check_out(out)
    digest = _previewed(gather(ledger, store, run_id, root), ledger, store)
    return write_out(out, render(replace(digest, link_root=link_root(store, out))))


def _previewed(digest: RunDigest, ledger: Ledger, store: Store, *, has_previews: bool = True) -> RunDigest:
    """Give the digest with previews of its samples; one without samples loads nothing that decodes."""
    if not digest.samples:
        return digest
    from stemline.report.preview_cut import without_previews  # noqa: PLC0415
    from stemline.report.run_previews import preview_rows  # noqa: PLC0415

    if not has_previews:
        return replace(digest, heard=without_previews(digest.heard))
    return replace(digest, heard=preview_rows(ledger, store, digest.samples, digest.heard))
