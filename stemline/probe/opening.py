"""Audio opened for reading where it lies: local files as they are, remote ones through small range reads."""

from __future__ import annotations

import io
import os
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import IO, Any

import fsspec

from stemline.errors import AudioRejected
from stemline.probe.ranges import RangeFile
from stemline.probe.web import open_web
from stemline.records import Code

HEAD_BYTES = 65_536
_SCAN_BYTES = 1_048_576


@dataclass(frozen=True, slots=True)
class OpenAudio:
    """An audio file ready to be read."""

    location: str
    size_bytes: int
    file: IO[bytes] | RangeFile
    path: str | None
    """The local path, for libraries that read a path faster than a file object."""

    def read_at(self, place: int, size_bytes: int = HEAD_BYTES) -> bytes:
        """Give the bytes from a place on."""
        self.file.seek(place)
        return self.file.read(size_bytes)


@contextmanager
def open_audio(
    location: str, storage_options: dict[str, Any] | None, *, is_whole: bool = False
) -> Iterator[OpenAudio]:
    """Give an audio file open for reading; `is_whole` says that all of it will be read, front to back.

    Raises `AudioRejected`: `missing_file`, `empty_file`, or `source_unreachable` when nothing answers.
    """
    block_bytes = _SCAN_BYTES if is_whole else HEAD_BYTES
    with ExitStack() as stack:
        audio = _enter(stack, location, storage_options or {}, block_bytes)
        if audio.size_bytes == 0:
            raise AudioRejected(
                f'"{location}" is empty.', code=Code.EMPTY_FILE, fix="Export or copy it again."
            )
        try:
            yield audio
        finally:
            # A range that did not come looks like a broken file to the decoders; the cause counts.
            if isinstance(audio.file, RangeFile) and audio.file.error is not None:
                raise _unreachable(location, audio.file.error)


def _enter(stack: ExitStack, location: str, storage_options: dict[str, Any], block_bytes: int) -> OpenAudio:
    try:
        if location.startswith(("http://", "https://")):
            file, size_bytes = stack.enter_context(open_web(location, block_bytes))
            return OpenAudio(location, size_bytes, file, None)
        path = location.removeprefix("file://")
        if "://" not in path:
            return _local(stack, location, path)
        return _stored(location, storage_options, block_bytes)
    except (FileNotFoundError, NotADirectoryError) as error:
        raise AudioRejected(
            f'"{location}" does not exist.', code=Code.MISSING_FILE, fix="Check its location in the manifest."
        ) from error
    except Exception as error:  # every store fails in its own way
        raise _unreachable(location, error) from error


def _local(stack: ExitStack, location: str, path: str) -> OpenAudio:
    file = stack.enter_context(io.FileIO(path))
    return OpenAudio(location, os.fstat(file.fileno()).st_size, file, path)


def _stored(location: str, storage_options: dict[str, Any], block_bytes: int) -> OpenAudio:
    file_system, path = fsspec.core.url_to_fs(location, **storage_options)
    size_bytes = int(file_system.size(path) or 0)

    def fetch(start: int, end: int) -> bytes:
        return bytes(file_system.cat_file(path, start=start, end=end))

    file = RangeFile(fetch, size_bytes, block_bytes)
    return OpenAudio(location, size_bytes, file, None)


def _unreachable(location: str, error: Exception) -> AudioRejected:
    reason = (str(error).strip() or type(error).__name__).splitlines()[0].rstrip(".")
    return AudioRejected(
        f'"{location}" cannot be read: {reason}.',
        code=Code.SOURCE_UNREACHABLE,
        fix="Check the address and the credentials, then try again.",
    )
