"""A dataset behind any other fsspec URL: memory, Google Cloud Storage, Azure, SFTP.

Nothing is ever written through an open remote file: an exception inside it publishes a torn object. A whole
local file is uploaded instead, and renamed into place where the far side is no object store.
"""

from __future__ import annotations

import uuid
from collections.abc import Iterable, Iterator, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from fsspec.core import url_to_fs

from stemline.storage.disk import scratch_folder
from stemline.storage.store import (
    TEMPORARY_PREFIX,
    ChunkSource,
    Store,
    checked_key,
    guarded,
    guarded_read,
    is_past_the_end,
)

_OBJECT_STORES = frozenset({"memory", "s3", "s3a", "gs", "gcs", "az", "abfs", "abfss", "adl", "oss"})


class RemoteStore(Store):
    """Objects below an fsspec URL."""

    is_streaming = False

    def __init__(self, url: str, storage_options: Mapping[str, Any]) -> None:
        """Take the URL and what its filesystem needs to open it."""
        super().__init__(url, storage_options)
        self._scheme = url.partition("://")[0]
        self._filesystem, root = url_to_fs(url, **storage_options)
        self._root = str(root).rstrip("/")

    def put_bytes(self, key: str, data: bytes) -> None:
        """Write a small object."""
        with guarded(self.root_url):
            name = self._first_name(key)
            self._filesystem.pipe_file(name, data)
            self._rename(name, key)

    def put_file(self, key: str, local_path: Path) -> None:
        """Write an object from a local file, which stays where it is."""
        if self._scheme == "memory":  # its put_file shows the object while it grows
            self.put_bytes(key, local_path.read_bytes())
            return
        with guarded(self.root_url):
            name = self._first_name(key)
            self._filesystem.put_file(str(local_path), name)
            self._rename(name, key)

    def put_stream(self, key: str, chunks: Iterable[bytes | memoryview]) -> None:
        """Write an object chunk by chunk; an exception of `chunks` passes through and nothing is written."""
        source = ChunkSource(chunks)
        with scratch_folder() as folder:
            whole = folder / "object"
            with guarded(str(folder), source), whole.open("wb") as file:
                file.writelines(source)
            self.put_file(key, whole)

    def exists(self, key: str) -> bool:
        """Tell whether there is an object."""
        with guarded(self.root_url):
            self._filesystem.invalidate_cache()
            return bool(self._filesystem.isfile(self._path(key)))

    def size(self, key: str) -> int:
        """Give the size of an object in bytes."""
        with guarded_read(self.root_url, self.url(key)):
            self._filesystem.invalidate_cache()
            return int(self._filesystem.size(self._path(key)))

    def written_at(self, key: str) -> datetime | None:
        """Give when an object was written; None where the filesystem has no such thing."""
        with guarded_read(self.root_url, self.url(key)):
            try:
                at: datetime = self._filesystem.modified(self._path(key))
            except NotImplementedError:
                return None
        return at if at.tzinfo is not None else at.replace(tzinfo=UTC)

    def read_bytes(self, key: str) -> bytes:
        """Give a whole object."""
        with guarded_read(self.root_url, self.url(key)):
            return bytes(self._filesystem.cat_file(self._path(key)))

    def read_range(self, key: str, start: int, stop: int) -> bytes:
        """Give an object's bytes from `start` to before `stop`; fewer where it ends earlier."""
        with guarded_read(self.root_url, self.url(key)):
            try:
                return bytes(self._filesystem.cat_file(self._path(key), start=start, end=stop))
            except OSError as error:
                if not is_past_the_end(error):
                    raise
        return b""

    def fetch_file(self, key: str, local_path: Path) -> None:
        """Copy an object to a local file in bounded memory."""
        with guarded_read(self.root_url, self.url(key), "copied"):
            self._filesystem.get_file(self._path(key), str(local_path))

    def list(self, prefix: str = "") -> Iterator[str]:
        """Give the keys below a folder; unfinished writes are not among them."""
        return (key for key, _ in self.list_sizes(prefix))

    def list_sizes(self, prefix: str = "") -> Iterator[tuple[str, int]]:
        """Give the keys below a folder with their sizes."""
        with guarded(self.root_url):
            self._filesystem.invalidate_cache()
            found = self._filesystem.find(self._path(prefix) if prefix else self._root, detail=True)
        for path, facts in found.items():
            key = str(path)[len(self._root) + 1 :]
            if not key.startswith(f"{TEMPORARY_PREFIX}/"):
                yield key, int(facts["size"])

    def copy(self, source: str, target: str) -> None:
        """Write an object over `target` from another one; renamed into place where the far side is no object store."""
        with guarded_read(self.root_url, self.url(source), "copied"):
            name = self._first_name(target)
            self._filesystem.cp_file(self._path(source), name)
            self._rename(name, target)

    def create(self, key: str, data: bytes) -> bool:
        """Write a small object unless there is one; tell whether there was none.

        What is behind fsspec has no such request: two that try within one moment may both be told so.
        """
        if self.exists(key):
            return False
        self.put_bytes(key, data)
        return True

    def delete(self, key: str) -> None:
        """Remove an object; a missing one is no error."""
        try:
            with guarded_read(self.root_url, self.url(key), "removed"):
                self._filesystem.rm_file(self._path(key))
        except FileNotFoundError:
            return

    def _path(self, key: str) -> str:
        return f"{self._root}/{checked_key(key)}"

    def _first_name(self, key: str) -> str:
        """Give the name to upload under: the final one where an upload shows only when it is whole."""
        if self._scheme in _OBJECT_STORES:
            return self._path(key)
        for path in (self._path(TEMPORARY_PREFIX), self._path(key).rpartition("/")[0]):
            self._filesystem.makedirs(path, exist_ok=True)
        return self._path(f"{TEMPORARY_PREFIX}/{uuid.uuid4().hex}")

    def _rename(self, name: str, key: str) -> None:
        if name != self._path(key):
            self._filesystem.mv(name, self._path(key))
