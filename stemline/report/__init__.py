"""Self-contained HTML pages: about a run, and about a dataset or a release of it."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from urllib.parse import quote

from stemline.ledger import Ledger
from stemline.manifest.source_root import NOWHERE, SourceRoot
from stemline.report.digest import RunDigest, gather
from stemline.report.page import render
from stemline.report.page_file import check_out, link_root, write_out
from stemline.report.run_account import COLUMNS, track_rows
from stemline.report.timed_work import PATIENT_SECONDS, PREVIEW_SECONDS
from stemline.report.track_table import SHOWN_TRACKS, TrackFile, write_track_file
from stemline.storage import Store, disk_guarded, scratch_folder

__all__ = ["PATIENT_SECONDS", "PREVIEW_SECONDS", "track_file_key", "write_report", "write_report_file"]


def write_report(
    ledger: Ledger,
    store: Store,
    run_id: str,
    root: SourceRoot = NOWHERE,
    preview_seconds: float = PREVIEW_SECONDS,
) -> str:
    """Write the page about a run into the dataset and give its key; it may be written again at any time.

    Sources are called from `root` in it. Its size and the memory it takes do not grow with the number of tracks: those
    it has no room for are in a CSV file beside it. Previews take at most `preview_seconds`; for 0 no audio is read.
    Raises LedgerConflict when the ledger knows no such run, and StorageError when the dataset cannot be written.
    """
    digest = _gathered(ledger, store, run_id, root)
    if digest.account.total > SHOWN_TRACKS:
        key = track_file_key(run_id)
        with scratch_folder() as folder:
            path = folder / "tracks.csv"
            write_track_file(path, COLUMNS, track_rows(ledger.accounts.tracks(run_id)))
            store.put_file(key, path)
        name = key.rpartition("/")[2]
        link = None if digest.link_root is None else quote(name)
        digest = replace(digest, track_file=TrackFile(name if link else store.url(key), link))
    key = f"_stemline/runs/{run_id}.html"
    digest = _previewed(digest, ledger, store, preview_seconds)
    store.put_bytes(key, render(digest).encode("utf-8", "replace"))
    return key


def write_report_file(ledger: Ledger, store: Store, run_id: str, root: SourceRoot, out: Path) -> str:
    """Do as `write_report`, into a file of a person's own, and give its path; raises UsageError where it is none."""
    check_out(out)
    digest = _previewed(_gathered(ledger, store, run_id, root), ledger, store, PATIENT_SECONDS)
    digest = replace(digest, link_root=link_root(store, out))
    if digest.account.total > SHOWN_TRACKS:
        beside = out.with_name(f"{out.stem}.tracks.csv")
        with disk_guarded(out.parent):
            out.parent.mkdir(parents=True, exist_ok=True)
        write_track_file(beside, COLUMNS, track_rows(ledger.accounts.tracks(run_id)))
        digest = replace(digest, track_file=TrackFile(beside.name, quote(beside.name)))
    return write_out(out, render(digest))


def track_file_key(run_id: str) -> str:
    """Give the key of the file that has all tracks of a run."""
    return f"_stemline/runs/{run_id}.tracks.csv"


def _gathered(ledger: Ledger, store: Store, run_id: str, root: SourceRoot) -> RunDigest:
    """Gather a digest, by split where there are any: only then are the tables read."""
    digest = gather(ledger, store, run_id, root)
    is_split = digest.account.has_split or any(True for _ in store.list("_stemline/splits"))
    if not digest.figures.published.by_this_run or not is_split:
        return digest
    from stemline.report.run_splits import read_splits_of_run  # noqa: PLC0415

    return replace(digest, splits=read_splits_of_run(ledger, store, run_id))


def _previewed(digest: RunDigest, ledger: Ledger, store: Store, seconds: float) -> RunDigest:
    """Give the digest with previews of its samples; one without samples loads nothing that decodes."""
    if not digest.samples:
        return digest
    from stemline.report.preview_cut import without_previews  # noqa: PLC0415
    from stemline.report.run_previews import preview_rows  # noqa: PLC0415

    if not seconds:
        return replace(digest, heard=without_previews(digest.heard))
    return replace(digest, heard=preview_rows(ledger, store, digest.samples, digest.heard, seconds))
