"""Whether a folder may be written, found out without writing."""

from __future__ import annotations

import errno
import os
from pathlib import Path


def require_writable_folder(folder: Path) -> None:
    """Raise OSError where a folder may not be written, or cannot be made below the folders there are; touches nothing.

    Names what stands in the way.
    """
    nearest = folder.absolute()
    while not os.path.lexists(nearest):
        nearest = nearest.parent
    reason = None if nearest.is_dir() else errno.ENOTDIR
    if reason is None and not os.access(nearest, os.W_OK | os.X_OK):
        reason = errno.EACCES
    if reason is not None:
        raise OSError(reason, os.strerror(reason), str(nearest))
