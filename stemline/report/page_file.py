"""Pages as files of a person's own, outside the dataset they are about."""

from __future__ import annotations

import os
from pathlib import Path
from urllib.parse import quote

from stemline.errors import UsageError
from stemline.storage import Store, disk_guarded

REPORTS_PREFIX = "_stemline/reports"
"""Where pages about the dataset and its releases are."""
DATASET_ROOT = "../../"
"""From the folder of a page inside the dataset to the dataset's root."""


def check_out(out: Path) -> None:
    """Raise UsageError for what no page can be written to."""
    if ":/" in str(out):
        raise UsageError(f"--out {out} is no file of this machine.", fix="Give a path, such as report.html.")
    if out.is_dir():
        raise UsageError(f"--out {out} is a folder.", fix=f"Give a file, such as {out / 'report.html'}.")


def write_out(out: Path, page: str) -> str:
    """Write a page into a file, in whose folder nothing else changes; give where it is.

    Raises StorageError where the disk does not take it.
    """
    with disk_guarded(out.parent):
        out.parent.mkdir(parents=True, exist_ok=True)
        out.write_text(page, "utf-8", errors="replace")
    return str(out.absolute())


def link_root(store: Store, page: Path) -> str | None:
    """Give what leads from a page to the dataset's root; None where the dataset is not of this machine."""
    root = store.local_path("_stemline")
    if root is None:
        return None
    steps = os.path.relpath(root.parent.resolve(), page.parent.resolve())
    return quote(f"{Path(steps).as_posix()}/", safe="/")
