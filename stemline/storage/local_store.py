"""A dataset in a folder: a temporary file on the same disk, fsync, then one rename."""

from __future__ import annotations

import os
import shutil
import time
import uuid
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path

from stemline.storage.store import TEMPORARY_PREFIX, ChunkSource, Store, checked_key, guarded, guarded_read
from stemline.writable_folder import require_writable_folder

_STALE_SECONDS = 24 * 3600


class LocalStore(Store):
    """Objects as files below one folder, which is made when something is first written."""

    def __init__(self, root: str) -> None:
        """Take the folder; `~` is the home."""
        self._root = Path(root).expanduser().absolute()
        super().__init__(str(self._root), {})

    def put_bytes(self, key: str, data: bytes) -> None:
        """Write a small object."""
        self.put_stream(key, [data])

    def put_file(self, key: str, local_path: Path) -> None:
        """Write an object from a local file, which stays where it is."""
        with guarded(self.root_url), self._named_when_whole(key) as temporary:
            shutil.copyfile(local_path, temporary)

    def put_stream(self, key: str, chunks: Iterable[bytes | memoryview]) -> None:
        """Write an object chunk by chunk; an exception of `chunks` passes through and nothing is written."""
        source = ChunkSource(chunks)
        with (
            guarded(self.root_url, source),
            self._named_when_whole(key) as temporary,
            temporary.open("wb") as file,
        ):
            file.writelines(source)

    def exists(self, key: str) -> bool:
        """Tell whether there is an object."""
        with guarded(self.root_url):
            return self._path(key).is_file()

    def size(self, key: str) -> int:
        """Give the size of an object in bytes."""
        with guarded_read(self.root_url, self.url(key)):
            return self._path(key).stat().st_size

    def written_at(self, key: str) -> datetime:
        """Give when a file was last written."""
        with guarded_read(self.root_url, self.url(key)):
            return datetime.fromtimestamp(self._path(key).stat().st_mtime, UTC)

    def read_bytes(self, key: str) -> bytes:
        """Give a whole object."""
        with guarded_read(self.root_url, self.url(key)):
            return self._path(key).read_bytes()

    def read_range(self, key: str, start: int, stop: int) -> bytes:
        """Give an object's bytes from `start` to before `stop`; fewer where it ends earlier."""
        with guarded_read(self.root_url, self.url(key)), self._path(key).open("rb", buffering=0) as file:
            return os.pread(file.fileno(), stop - start, start)

    def fetch_file(self, key: str, local_path: Path) -> None:
        """Copy an object to a local file in bounded memory."""
        with guarded_read(self.root_url, self.url(key), "copied"):
            shutil.copyfile(self._path(key), local_path)

    def local_path(self, key: str) -> Path:
        """Give where the object lies."""
        return self._path(key)

    def list(self, prefix: str = "") -> Iterator[str]:
        """Give the keys below a folder; unfinished writes are not among them."""
        return (key for key, _ in self._walk(prefix))

    def list_sizes(self, prefix: str = "") -> Iterator[tuple[str, int]]:
        """Give the keys below a folder with their sizes."""
        for key, path in self._walk(prefix):
            with suppress(FileNotFoundError):  # removed since
                yield key, path.stat().st_size

    def copy(self, source: str, target: str) -> None:
        """Give an object a second name, over what may be there; its bytes are there once where the disk can do that."""
        with (
            guarded_read(self.root_url, self.url(source), "copied"),
            self._named_when_whole(target) as temporary,
        ):
            try:
                os.link(self._path(source), temporary)
            except FileNotFoundError:
                raise
            except OSError:  # a disk without links
                shutil.copyfile(self._path(source), temporary)

    def create(self, key: str, data: bytes) -> bool:
        """Write a small object unless there is one; tell whether there was none."""
        temporary = f"{TEMPORARY_PREFIX}/{uuid.uuid4().hex}"
        self.put_bytes(temporary, data)
        with guarded(self.root_url):
            path = self._path(key)
            path.parent.mkdir(parents=True, exist_ok=True)
            try:
                os.link(self._path(temporary), path)
            except FileExistsError:
                return False
            finally:
                self._path(temporary).unlink()
        return True

    def delete(self, key: str) -> None:
        """Remove an object; a missing one is no error."""
        with guarded(self.root_url):
            self._path(key).unlink(missing_ok=True)

    def prune(self, folder: str) -> None:
        """Remove a folder in which there are nothing but folders."""
        with guarded(self.root_url):
            for path, _, _ in os.walk(self._path(folder), topdown=False):
                with suppress(OSError):  # not empty
                    Path(path).rmdir()

    def check_reachable(self) -> None:
        """Look whether the folder may be written, or made, without doing either."""
        with guarded(self.root_url):
            require_writable_folder(self._root)

    def check_writable(self) -> None:
        """Write, read back and delete a small object; also sweep what killed writers left a day ago."""
        self.check_reachable()
        super().check_writable()
        for leftover in (self._root / TEMPORARY_PREFIX).iterdir():
            with suppress(FileNotFoundError):  # another writer's, which it has named or removed since
                if time.time() - leftover.stat().st_mtime > _STALE_SECONDS:
                    leftover.unlink()

    def _walk(self, prefix: str) -> Iterator[tuple[str, Path]]:
        for folder, _, names in os.walk(self._path(prefix)):
            for name in names:
                path = Path(folder) / name
                key = path.relative_to(self._root).as_posix()
                if not key.startswith(f"{TEMPORARY_PREFIX}/"):
                    yield key, path

    def _path(self, key: str) -> Path:
        return self._root / checked_key(key)

    @contextmanager
    def _named_when_whole(self, key: str) -> Iterator[Path]:
        """Give a temporary path whose file gets its name, durably, only when the body ends well."""
        target = self._path(key)
        temporary = self._root / TEMPORARY_PREFIX / uuid.uuid4().hex
        temporary.parent.mkdir(parents=True, exist_ok=True)
        target.parent.mkdir(parents=True, exist_ok=True)
        try:
            yield temporary
            if self.is_flushed:
                _flush(temporary)
            try:
                temporary.replace(target)
            except FileNotFoundError:  # its folder was empty, and pruned
                target.parent.mkdir(parents=True, exist_ok=True)
                temporary.replace(target)
            if self.is_flushed:
                _flush(target.parent)
        finally:
            temporary.unlink(missing_ok=True)


def _flush(path: Path) -> None:
    """Have the disk keep a file's bytes, or a folder's names, through a power cut."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
