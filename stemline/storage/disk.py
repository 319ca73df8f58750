"""The local disk as a place to work: temporary folders, and one sentence for each way it refuses."""

from __future__ import annotations

import errno
import hashlib
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from stemline.errors import StorageError

_FULL = (errno.ENOSPC, errno.EDQUOT)


@contextmanager
def scratch_folder(parent: str | None = None) -> Iterator[Path]:
    """Give a temporary folder that is gone afterwards; None: where the system keeps such things.

    Raises:
        StorageError: it cannot be made.
    """
    with disk_guarded(parent or "The temporary folder"):
        folder = tempfile.TemporaryDirectory(prefix="stemline-", dir=parent, ignore_cleanup_errors=True)
    with folder as path:
        yield Path(path)


@contextmanager
def disk_guarded(path: Path | str) -> Iterator[None]:
    """Turn the OSErrors of local files below `path` into StorageError."""
    try:
        yield
    except OSError as error:
        raise disk_error(path, error) from error


def disk_error(path: Path | str, error: OSError, done: str = "written") -> StorageError:
    """Say in one sentence why a local disk does not let `path` be written, or whatever else was `done` there."""
    if error.errno in _FULL:
        return StorageError(f"The disk that holds {path} is full.", fix="Free some space and run again.")
    reason = error.strerror or str(error) or type(error).__name__
    right = "right to write" if done == "written" else "rights"
    return StorageError(f"{path} cannot be {done}: {reason}.", fix=f"Check the path and the {right} there.")


def file_sha256(path: Path) -> str:
    """Give the SHA-256 of a file in hex."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
