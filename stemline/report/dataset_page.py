"""The page about a dataset or a release of it, and where it is written."""

from __future__ import annotations

import shutil
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import quote

from stemline import __version__
from stemline.report import dataset_section, leakage_section, quality_section
from stemline.report.dataset_digest import DatasetDigest, gather_dataset
from stemline.report.dataset_tracks import COLUMNS
from stemline.report.frame import brand, html_page, instant
from stemline.report.markup import Html, clipped, element
from stemline.report.page_file import DATASET_ROOT, REPORTS_PREFIX, check_out, link_root, write_out
from stemline.report.track_table import TrackFile, TrackTable, track_table
from stemline.settings import Settings
from stemline.storage import Store, disk_guarded, open_store, scratch_folder


def write_dataset_report(
    settings: Settings, release: str | None = None, out: Path | None = None
) -> dict[str, Any]:
    """Write the page about the live dataset, or a release, into it or into `out`; give where, and its figures.

    Raises:
        UsageError: there is no dataset or no such release, or `out` cannot be written.
        StorageError: the dataset cannot be read, or the page not be written into it.
    """
    store = open_store(settings.dataset.url, settings.dataset.storage_options)
    if out is not None:
        check_out(out)
    with scratch_folder() as folder:
        tracks = folder / "tracks.csv"
        digest = gather_dataset(settings, release, datetime.now(UTC), tracks)
        if out is None:
            where = _store_page(store, digest, tracks)
        else:
            beside = out.with_name(f"{out.stem}.tracks.csv")
            file = TrackFile(beside.name, quote(beside.name)) if tracks.exists() else None
            where = write_out(out, render_dataset(digest, link_root(store, out), file))
            if file is not None:
                with disk_guarded(out.parent):
                    shutil.copyfile(tracks, beside)
    return {"report": where, **digest.as_tree()}


def _store_page(store: Store, digest: DatasetDigest, tracks: Path) -> str:
    """Put a page into the dataset, and beside it the file of all tracks where there is one; give where it is."""
    base = f"{REPORTS_PREFIX}/{'dataset' if digest.release is None else f'release-{digest.release}'}"
    key, file = f"{base}.tracks.csv", None
    if tracks.exists():
        store.put_file(key, tracks)
        name = key.rpartition("/")[2]
        file = TrackFile(name, quote(name)) if digest.is_local else TrackFile(store.url(key), None)
    elif store.exists(key):
        store.delete(key)  # of when there were more
    links = DATASET_ROOT if digest.is_local else None
    store.put_bytes(f"{base}.html", render_dataset(digest, links, file).encode("utf-8", "replace"))
    return store.url(f"{base}.html")


def render_dataset(digest: DatasetDigest, links: str | None, file: TrackFile | None = None) -> str:
    """Give the HTML page of a digest; `links` leads to the audio, None where a page cannot play it."""
    body = (
        _headline(digest),
        dataset_section.tracks_to_hear(digest, links),
        dataset_section.dataset_counters(digest),
        dataset_section.breakdowns(digest),
        leakage_section.leakage(digest.leakage),
        dataset_section.growth_and_music(digest),
        track_table(TrackTable(COLUMNS, digest.shown_tracks, digest.totals.separations), file),
        quality_section.distributions(digest.quality),
        quality_section.doubtful_stems(digest.silent, digest.clipped),
        _footer(digest),
    )
    return html_page(
        f"{digest.name}{'' if digest.release is None else f' {digest.release}'} · stemline", body
    )


def _headline(digest: DatasetDigest) -> Html:
    release, when = digest.release, f"{instant(digest.made_at)} UTC"
    facts = ("live dataset", f"as of {when}") if release is None else (f"release {release}", f"made {when}")
    return element(
        "header",
        brand(),
        element("h1", digest.name),
        element("p", *(element("span", fact) for fact in facts), class_="facts"),
        class_="headline",
    )


def _footer(digest: DatasetDigest) -> Html:
    return element(
        "footer",
        element("p", "Dataset ", element("code", clipped(digest.root_url, 300))),
        element("p", f"stemline {__version__}"),
    )
