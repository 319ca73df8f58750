"""What every store can do, and the one sentence that each way of failing becomes."""

from __future__ import annotations

import uuid
from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from stemline.errors import StemlineError, StorageError
from stemline.library_words import reason_of
from stemline.storage.disk import disk_error

CHUNK_BYTES = 1 << 20
TEMPORARY_PREFIX = "_stemline/tmp"

_NO_BUCKET = ("NoSuchBucket", "specified bucket does not exist")
_NO_RANGE = ("InvalidRange", "not satisfiable", "Not Satisfiable")
_KNOWN_ERRORS: tuple[tuple[tuple[str, ...], str, str], ...] = (
    (_NO_BUCKET, "The bucket of {url} does not exist.", "Create it or correct dataset.url."),
    (
        ("redirect",),
        "The bucket of {url} is in another region.",
        "Set dataset.storage_options.client_kwargs.region_name to the bucket's own.",
    ),
    (
        (
            "InvalidAccessKeyId",
            "SignatureDoesNotMatch",
            "AccessDenied",
            "403 Forbidden",
            "401 Unauthorized",
            "Unable to locate credentials",
            "ExpiredToken",
            "lacked the necessary privileges",
        ),
        "Access to {url} was refused.",
        "Check the credentials in dataset.storage_options or the environment, and their rights.",
    ),
    (
        ("error sending request", "Could not connect", "Connect timeout", "Name or service not known"),
        "Nothing answers for {url}.",
        "Check the network and the endpoint_url in dataset.storage_options.",
    ),
)
"""Words in a client's error, the sentence for people, and the fix."""


@dataclass(frozen=True, slots=True)
class OpenUpload:
    """An upload in several parts that was begun and not ended: its bytes are paid for, and no listing shows them."""

    key: str
    upload_id: str
    begun_at: datetime


class Store(ABC):
    """A place for objects known by `key`: a relative path with `/`.

    Every `put_*` is atomic: a reader sees the whole object or none, also after an exception or a kill.
    All methods raise StorageError when the place itself refuses; a missing object is a FileNotFoundError.
    """

    is_streaming = True
    """Whether `put_stream` sends bytes on as they come, rather than gather them on the local disk first."""
    is_flushed = True
    """Whether a write waits until it would outlast a power cut, where the place leaves the choice."""

    def __init__(self, root_url: str, storage_options: Mapping[str, Any]) -> None:
        """Take the URL under which other tools find the place, and what they need to open it."""
        self.root_url = joined_url(root_url)
        self.storage_options = dict(storage_options)
        """What pandas, Polars or fsspec need beside `url(key)` to read an object."""

    def url(self, key: str = "") -> str:
        """Give the path or fsspec URL under which other tools find the object or folder."""
        return joined_url(self.root_url, key)

    @abstractmethod
    def put_bytes(self, key: str, data: bytes) -> None:
        """Write a small object."""

    @abstractmethod
    def put_file(self, key: str, local_path: Path) -> None:
        """Write an object from a local file, which stays where it is."""

    @abstractmethod
    def put_stream(self, key: str, chunks: Iterable[bytes | memoryview]) -> None:
        """Write an object chunk by chunk; an exception of `chunks` passes through and nothing is written."""

    @abstractmethod
    def exists(self, key: str) -> bool:
        """Tell whether there is an object."""

    @abstractmethod
    def size(self, key: str) -> int:
        """Give the size of an object in bytes."""

    @abstractmethod
    def read_bytes(self, key: str) -> bytes:
        """Give a whole object."""

    @abstractmethod
    def read_range(self, key: str, start: int, stop: int) -> bytes:
        """Give an object's bytes from `start` to before `stop`, a later one; fewer, or none, where it ends earlier."""

    @abstractmethod
    def fetch_file(self, key: str, local_path: Path) -> None:
        """Copy an object to a local file in bounded memory."""

    def local_path(self, key: str) -> Path | None:
        """Give where the object lies on this machine's disk; None where it has to be fetched."""
        del key
        return None

    @abstractmethod
    def list(self, prefix: str = "") -> Iterator[str]:
        """Give the keys below a folder, in no promised order; unfinished writes are not among them."""

    @abstractmethod
    def list_sizes(self, prefix: str = "") -> Iterator[tuple[str, int]]:
        """Give the keys below a folder with the sizes in bytes, as the listing itself tells them."""

    @abstractmethod
    def copy(self, source: str, target: str) -> None:
        """Write an object over `target` from another of the same place, atomically and without moving its bytes."""

    @abstractmethod
    def create(self, key: str, data: bytes) -> bool:
        """Write a small object unless there is one; tell whether there was none. Of two at once, one is told so."""

    @abstractmethod
    def delete(self, key: str) -> None:
        """Remove an object; a missing one is no error."""

    def delete_all(self, keys: Iterable[str]) -> None:
        """Remove objects in as few requests as the place allows."""
        for key in keys:
            self.delete(key)

    def prune(self, folder: str) -> None:  # noqa: B027 - most places have no folders
        """Remove what is left of a folder in which no object is any more, where a place has folders."""

    @abstractmethod
    def written_at(self, key: str) -> datetime | None:
        """Give when an object was written; None where the place does not tell."""

    def open_uploads(self) -> Iterable[OpenUpload]:
        """Give the uploads that were begun below the root and not ended; none where the place has no such thing."""
        return ()

    def abort_upload(self, upload: OpenUpload) -> None:
        """Give up an upload, so that its bytes are freed; one that is over is no error."""
        raise NotImplementedError(upload)

    def check_reachable(self) -> None:
        """Look whether the place is there and lets itself be read; nothing is written.

        Raises:
            StorageError: as `check_writable` says it, of what can be told without writing.
        """
        next(iter(self.list(TEMPORARY_PREFIX)), None)

    def check_writable(self) -> None:
        """Write, read back and delete a small object, so that a run fails before it spends anything.

        Raises:
            StorageError: with the URL, what is wrong and the fix.
        """
        key, data = f"_stemline/probe-{uuid.uuid4().hex}", b"stemline"
        self.put_bytes(key, data)
        try:
            found = self.read_bytes(key)
        except FileNotFoundError:
            found = b""
        finally:
            self.delete(key)
        if found != data:
            raise StorageError(
                f"{self.root_url} does not give back what was written to it.",
                fix="Check that dataset.url is not behind a cache or a filtering proxy.",
            )


class InvalidKey(ValueError):
    """A key that is no relative path: a mistake in the calling code, never the store's doing."""


class ChunkSource:
    """Chunks to store, and the exception their source raised, to tell it from the store's own."""

    def __init__(self, chunks: Iterable[bytes | memoryview]) -> None:
        """Take the source."""
        self._chunks = chunks
        self.error: Exception | None = None

    def __iter__(self) -> Iterator[bytes | memoryview]:
        """Pass the chunks on."""
        try:
            yield from self._chunks
        except Exception as error:
            self.error = error
            raise


def joined_url(root_url: str, key: str = "") -> str:
    """Give the URL of an object below a root, or the root's own."""
    root = root_url.rstrip("/")
    root = f"{root}/" if root.endswith(":") else root  # memory:// is a root of its own
    return f"{root}/{checked_key(key)}" if key else root


def checked_key(key: str) -> str:
    """Give the key back when it is a relative path without `.` or `..` steps.

    Raises:
        InvalidKey: it is not.
    """
    if key != "" and any(step in ("", ".", "..") for step in key.split("/")):
        raise InvalidKey(f"{key!r} is no key: it must be a relative path without empty, '.' or '..' steps")
    return key


@contextmanager
def guarded(root_url: str, source: ChunkSource | None = None, done: str = "written") -> Iterator[None]:
    """Turn what a store raises into StorageError; the source's own exception and our errors pass through."""
    try:
        yield
    except (StemlineError, InvalidKey):
        raise
    except Exception as error:
        if source is not None and source.error is not None:
            raise source.error from None
        raise storage_error(root_url, error, done) from error


@contextmanager
def guarded_read(root_url: str, url: str, done: str = "read") -> Iterator[None]:
    """Do as `guarded`, but an object that is not there, or a folder, is a FileNotFoundError with its URL."""
    missing: OSError | None = None
    with guarded(root_url, done=done):
        try:
            yield
        except (FileNotFoundError, IsADirectoryError) as error:
            if any(word in str(error) for word in _NO_BUCKET):
                raise storage_error(root_url, error) from error
            missing = error
    if missing is not None:
        raise FileNotFoundError(url) from missing


def is_past_the_end(error: Exception) -> bool:
    """Tell whether this is how a client says that an object ends before the range that was asked for."""
    return any(word in str(error) for word in _NO_RANGE)


def storage_error(url: str, error: Exception, done: str = "written") -> StorageError:
    """Say in one sentence why `url` does not take or give an object, and the fix."""
    if isinstance(error, OSError) and error.filename:
        return disk_error(url, error, done)
    text = f"{error} {error.__cause__ or ''} {'403 Forbidden' if isinstance(error, PermissionError) else ''}"
    for words, sentence, fix in _KNOWN_ERRORS:
        if any(word in text for word in words):
            return StorageError(sentence.format(url=url), fix=fix)
    if isinstance(error, OSError) and error.errno is not None:
        return disk_error(url, error, done)
    return StorageError(f"{url} could not be used: {reason_of(error)}.", fix="Check dataset.storage_options.")
