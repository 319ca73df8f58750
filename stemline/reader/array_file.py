"""Numbers in a file of this machine, of which only what is asked for is ever in memory."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import DTypeLike, NDArray


class ArrayFile:
    """One array in a file. Reads do not move a shared position: threads and forked processes may use it at once.

    A mapped file would count as memory of whoever has touched it, until an epoch has touched all of it.
    """

    def __init__(self, path: Path, kind: DTypeLike) -> None:
        """Open it; raises OSError."""
        self.path, self.kind = path, np.dtype(kind)
        self._file = os.open(path, os.O_RDONLY)

    def __len__(self) -> int:
        """Give how many values there are."""
        return os.fstat(self._file).st_size // self.kind.itemsize

    def read(self, start: int, count: int) -> NDArray[Any]:
        """Give values from one on; fewer at the end."""
        size = self.kind.itemsize
        return np.frombuffer(os.pread(self._file, count * size, start * size), self.kind)

    def mapped(self) -> NDArray[Any]:
        """Give all of it as a map, for whoever goes through it once."""
        if not len(self):
            return np.empty(0, self.kind)
        return np.memmap(self.path, self.kind, "r")

    def __del__(self) -> None:
        """Close the file."""
        if hasattr(self, "_file"):
            os.close(self._file)
