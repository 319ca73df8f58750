"""Parts of tables as PyArrow opens them, whatever the store: a file system whose every read is one ranged GET."""

from __future__ import annotations

from typing import Any

import pyarrow as pa
from fsspec import AbstractFileSystem
from pyarrow import fs

from stemline.seekable_file import SeekableFile
from stemline.storage import Store


class StoreFile(SeekableFile):
    """An object as a read-only file that keeps nothing of what it has read."""

    def __init__(self, store: Store, key: str) -> None:
        """Ask for its size; raises FileNotFoundError."""
        super().__init__(store.size(key))
        self._store, self._key = store, key

    def read(self, size: int | None = -1) -> bytes:
        """Give up to `size` bytes, fewer only at the end."""
        stop = self.size_bytes if size is None or size < 0 else min(self._place + size, self.size_bytes)
        if stop <= self._place:
            return b""
        data = self._store.read_range(self._key, self._place, stop)
        self._place += len(data)
        return data


class StoreFileSystem(AbstractFileSystem):  # type: ignore[misc]  # fsspec has no types
    """A store as fsspec has it, for reading what is named."""

    protocol = "stemline"
    cachable = False

    def __init__(self, store: Store) -> None:
        """Take the store."""
        super().__init__()
        self._store = store

    def info(self, path: str, **_: Any) -> dict[str, Any]:  # noqa: ANN401 - as fsspec calls it
        """Tell the size of an object."""
        return {"name": path, "size": self._store.size(path), "type": "file"}

    def isfile(self, path: str) -> bool:
        """Tell that it is one: opening it asks, which is enough."""
        del path
        return True

    def _open(self, path: str, mode: str = "rb", **_: Any) -> StoreFile:  # noqa: ANN401 - as fsspec calls it
        del mode
        return StoreFile(self._store, path)


def file_system(store: Store) -> tuple[fs.FileSystem, str]:
    """Give the file system of PyArrow in which a store's objects are, and what goes in front of a key."""
    folder = store.local_path("")
    if folder is not None:
        return fs.LocalFileSystem(use_mmap=False), f"{folder}/"
    return fs.PyFileSystem(fs.FSSpecHandler(StoreFileSystem(store))), ""


def open_part(store: Store, key: str) -> pa.NativeFile:
    """Open one part; raises FileNotFoundError."""
    files, prefix = file_system(store)
    return files.open_input_file(prefix + key)
