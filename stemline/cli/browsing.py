"""A page shown in the browser of who asked for it."""

from __future__ import annotations

import webbrowser
from pathlib import Path
from typing import TYPE_CHECKING

from stemline.cli.console import Screen

if TYPE_CHECKING:
    from stemline.settings import Settings


def show_page(screen: Screen, settings: Settings, where: str) -> None:
    """Open a page; one in a bucket is fetched to this machine first. Say so where there is no browser."""
    path = Path(where) if "://" not in where else _fetched(settings, where)
    # `webbrowser` takes a file for a URL only as one.
    if not webbrowser.open(path.absolute().as_uri()):
        screen.note(f"No browser could be started here. The page is {path}.")


def _fetched(settings: Settings, where: str) -> Path:
    """Give a copy of a page of the dataset that a browser of this machine can read."""
    import tempfile

    from stemline.storage import open_store

    store = open_store(settings.dataset.url, settings.dataset.storage_options)
    key = where.removeprefix(store.url()).lstrip("/")
    path = Path(tempfile.mkdtemp(prefix="stemline-report-")) / key.rpartition("/")[2]
    path.write_bytes(store.read_bytes(key))
    return path
