"""Audio opened for reading where it lies: local files as they are, remote ones through small range reads."""

from __future__ import annotations

import atexit
import io
import os
import re
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from functools import cache
from http import HTTPStatus
from typing import IO, Any

import fsspec
import httpx

from stemline.errors import AudioRejected, SourceAway
from stemline.library_words import reason_of
from stemline.probe.range_file import RangeFile
from stemline.records import Code

HEAD_BYTES = 65_536
_SCAN_BYTES = 1_048_576
_WEB_SECONDS = 30.0
_BUSY_TRIES = 4
_LONGEST_BUSY_SECONDS = 30.0
_BUSY = frozenset({HTTPStatus.REQUEST_TIMEOUT, HTTPStatus.TOO_EARLY, HTTPStatus.TOO_MANY_REQUESTS})


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
        audio = _open(stack, location, storage_options or {}, block_bytes)
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


def _open(stack: ExitStack, location: str, storage_options: dict[str, Any], block_bytes: int) -> OpenAudio:
    try:
        if location.startswith(("http://", "https://")):
            file, size_bytes = stack.enter_context(open_web(location, block_bytes))
            return OpenAudio(location, size_bytes, file, None)
        path = location.removeprefix("file://")
        if path.startswith("/") or "://" not in path:
            return _open_local(stack, location, path)
        return _open_stored(location, storage_options, block_bytes)
    except (FileNotFoundError, NotADirectoryError) as error:
        raise AudioRejected(
            f'"{location}" does not exist.', code=Code.MISSING_FILE, fix="Check its location in the manifest."
        ) from error
    except PermissionError as error:
        raise _not_allowed(location, error) from error
    except Exception as error:  # every store fails in its own way
        raise _unreachable(location, error) from error


def _open_local(stack: ExitStack, location: str, path: str) -> OpenAudio:
    file = stack.enter_context(io.FileIO(path))
    return OpenAudio(location, os.fstat(file.fileno()).st_size, file, path)


def _open_stored(location: str, storage_options: dict[str, Any], block_bytes: int) -> OpenAudio:
    file_system, path = fsspec.core.url_to_fs(location, **storage_options)
    size_bytes = int(file_system.size(path) or 0)

    def fetch(start: int, end: int) -> bytes:
        return bytes(file_system.cat_file(path, start=start, end=end))

    file = RangeFile(fetch, size_bytes, block_bytes)
    return OpenAudio(location, size_bytes, file, None)


def _not_allowed(location: str, error: PermissionError) -> AudioRejected:
    """Say of a file of this machine that it may not be read; of a store that its credentials do not allow it."""
    if error.errno is None:
        return _unreachable(location, error)
    return AudioRejected(
        f'"{location}" may not be read by who runs this ({os.strerror(error.errno)}).',
        code=Code.SOURCE_UNREACHABLE,
        fix="Give yourself the right to read it, such as with chmod, and run again.",
    )


def _unreachable(location: str, error: Exception) -> AudioRejected:
    sentence = f'"{location}" cannot be read: {reason_of(error)}.'
    if _may_pass(error):
        return SourceAway(sentence, code=Code.SOURCE_UNREACHABLE, fix="The next run asks again.")
    return AudioRejected(
        sentence, code=Code.SOURCE_UNREACHABLE, fix="Check the address and the credentials, then try again."
    )


def _may_pass(error: Exception) -> bool:
    """Tell whether it is the host or the way to it that failed, and not this one file."""
    if isinstance(error, httpx.HTTPStatusError):
        return error.response.is_server_error or error.response.status_code in _BUSY
    if isinstance(error, httpx.HTTPError):
        return not isinstance(
            error, httpx.TooManyRedirects | httpx.UnsupportedProtocol | httpx.LocalProtocolError
        )
    return isinstance(error, OSError) and not isinstance(error, PermissionError)


@contextmanager
def open_web(url: str, block_bytes: int) -> Iterator[tuple[IO[bytes] | RangeFile, int]]:
    """Give an http(s) URL as a seekable file and its size: ranges where the server has them, else a temporary copy.

    There is no HEAD request, which presigned links refuse.

    Raises `FileNotFoundError` for 404 and 410, `httpx.HTTPError` for everything else.
    """
    with tempfile.TemporaryFile() as copy:
        with _asked(url, _range(0, block_bytes)) as answer:
            if answer.status_code in (HTTPStatus.NOT_FOUND, HTTPStatus.GONE):
                raise FileNotFoundError(url)
            total = _total_of(answer)
            is_part = answer.status_code == HTTPStatus.PARTIAL_CONTENT
            if not (is_part and total is None) and (
                answer.status_code != HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE
            ):
                _write_to(copy, answer)
        if is_part and total is None:
            # How much there is, or where what came belongs, is not said: only the whole of it has a length.
            with _asked(url, {"Accept-Encoding": "identity"}) as answer:
                _write_to(copy, answer)
        size_bytes = copy.tell()
        copy.seek(0)
        if is_part and total is not None and total > size_bytes:
            first = copy.read() if size_bytes == block_bytes else b""
            yield RangeFile(_fetch_from(url), total, block_bytes, first), total
        else:
            yield copy, size_bytes if answer.is_success else 0


def _write_to(copy: IO[bytes], answer: httpx.Response) -> None:
    answer.raise_for_status()
    if answer.status_code == HTTPStatus.PARTIAL_CONTENT and "Range" not in answer.request.headers:
        raise httpx.RemoteProtocolError(
            "the server gives only a part of the file, and does not say how large it is"
        )
    for chunk in answer.iter_bytes():
        copy.write(chunk)


@contextmanager
def _asked(url: str, headers: dict[str, str]) -> Iterator[httpx.Response]:
    """Give the answer to a GET, its body unread; a host that is busy and says until when is asked again."""
    for tries_left in reversed(range(_BUSY_TRIES)):
        with _client().stream("GET", url, headers=headers) as answer:
            pause = _busy_seconds(answer)
            if pause is None or pause > _LONGEST_BUSY_SECONDS or not tries_left:
                yield answer
                return
        time.sleep(pause)


def _busy_seconds(answer: httpx.Response) -> float | None:
    """Give for how long a host asks to be left alone (RFC 9110, 10.2.3); None: it does not."""
    if answer.status_code not in (HTTPStatus.TOO_MANY_REQUESTS, HTTPStatus.SERVICE_UNAVAILABLE):
        return None
    stated = answer.headers.get("Retry-After", "").strip()
    if re.fullmatch(r"[0-9]{1,6}", stated):
        return float(stated)
    try:
        until = parsedate_to_datetime(stated)
    except ValueError:
        return None
    return max((until.replace(tzinfo=until.tzinfo or UTC) - datetime.now(UTC)).total_seconds(), 0.0)


def _total_of(answer: httpx.Response) -> int | None:
    """Give the whole file's size where a range from its beginning says so."""
    found = re.fullmatch(r"\s*bytes\s+0-\d+/(\d+)\s*", answer.headers.get("Content-Range", ""), re.IGNORECASE)
    return int(found[1]) if found and "Content-Encoding" not in answer.headers else None


def _fetch_from(url: str) -> Callable[[int, int], bytes]:
    def fetch(start: int, end: int) -> bytes:
        data = b""
        while start + len(data) < end:  # a server may give less than was asked for
            with _asked(url, _range(start + len(data), end)) as answer:
                answer.raise_for_status()
                if answer.status_code != HTTPStatus.PARTIAL_CONTENT:
                    raise httpx.RemoteProtocolError("the server stopped answering with ranges")
                answer.read()
            if not answer.content:
                raise httpx.RemoteProtocolError("the server answers with empty ranges")
            data += answer.content
        return data

    return fetch


def _range(start: int, end: int) -> dict[str, str]:
    # Compressed bytes have other places than the file's.
    return {"Range": f"bytes={start}-{end - 1}", "Accept-Encoding": "identity"}


@cache
def _client() -> httpx.Client:
    # One for all files: a handshake and the certificates for each would cost more than the ranges.
    client = httpx.Client(follow_redirects=True, timeout=_WEB_SECONDS)
    atexit.register(client.close)
    return client
