"""Indexes and choices of windows in a folder of this machine, each made once and shared by all who ask for it.

One that is made has its name only when it is whole, and of several processes that want it one makes it.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import shutil
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TypeVar

from stemline.errors import StorageError
from stemline.storage import disk_guarded

CACHE_VARIABLE = "STEMLINE_CACHE"
_STATES_KEPT = 3
_UNUSED_SECONDS = 24 * 3600
"""Of one dataset more states than these are removed, when another is read, where nobody has used them for a day."""

Made = TypeVar("Made")


def cache_folder() -> Path:
    """Give where indexes are kept: `STEMLINE_CACHE`, or `stemline` where this system keeps such things."""
    told = os.environ.get(CACHE_VARIABLE)
    if told:
        return Path(told).expanduser()
    return Path(os.environ.get("XDG_CACHE_HOME") or "~/.cache").expanduser() / "stemline"


class IndexCache:
    """What is kept for one state of one dataset."""

    def __init__(self, root: Path, url: str, state: str) -> None:
        """Take the folder for all datasets, and what tells this one and its state from others."""
        name = hashlib.sha256(url.encode()).hexdigest()[:16]
        self._root, self._name = root, name
        self.folder = root / f"{name}-{state[:24]}"

    def get(self, name: str, opened: Callable[[Path], Made], write: Callable[[Path], None]) -> Made:
        """Give what was kept under a name; where there is nothing that can be used, have it written first.

        Raises:
            StorageError: the folder cannot be written.
        """
        path = self.folder / name
        found = _opened(path, opened)
        if found is not None:
            return found
        with _locked(self.folder / f"{name}.lock"):
            found = _opened(path, opened)
            if found is None:
                self._make(path, write)
                found = opened(path)
        return found

    def _make(self, path: Path, write: Callable[[Path], None]) -> None:
        with disk_guarded(self._root):
            self._forget_unused()
            folder = Path(tempfile.mkdtemp(prefix=f"{path.name}-", dir=self.folder))
        try:
            write(folder)
            with disk_guarded(self._root):
                shutil.rmtree(path, ignore_errors=True)
                folder.rename(path)
        finally:
            shutil.rmtree(folder, ignore_errors=True)

    def _forget_unused(self) -> None:
        states = sorted((_used_at(each), each) for each in self._root.glob(f"{self._name}-*"))
        for used_at, folder in states[:-_STATES_KEPT]:
            if time.time() - used_at > _UNUSED_SECONDS:
                shutil.rmtree(folder, ignore_errors=True)


def note_use(folder: Path) -> None:
    """Note that what is kept for a state is in use: also by workers that open it again at each epoch."""
    with suppress(OSError):
        os.utime(folder)


def _used_at(folder: Path) -> float:
    try:
        return folder.stat().st_mtime
    except OSError:
        return 0.0


def _opened(path: Path, opened: Callable[[Path], Made]) -> Made | None:
    """Give what is there; None for nothing, or what another version has left."""
    try:
        found = opened(path)
    except (OSError, ValueError, KeyError):
        return None
    note_use(path.parent)
    return found


@contextmanager
def _locked(path: Path) -> Iterator[None]:
    """Let one process after the other in; the lock goes with whoever holds it."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        file = path.open("wb")
    except OSError as error:
        raise StorageError(
            f"{path} cannot be written: {error.strerror}.",
            fix=f"Give a folder for indexes by the environment variable {CACHE_VARIABLE}.",
        ) from error
    with file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield
