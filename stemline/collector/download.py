"""One file over HTTP, whole: a broken transfer goes on where it broke.

Links are presigned: they carry their own right, and any Authorization header would void it.
"""

from __future__ import annotations

import random
import re
from collections.abc import Callable, Generator, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from threading import Event
from typing import NamedTuple

import httpx

from stemline import __version__
from stemline.errors import LinkExpired, TransferFailed
from stemline.library_words import reason_of
from stemline.storage import disk_guarded

_ATTEMPTS_WITHOUT_PROGRESS = 4
_MOST_ATTEMPTS = 50
_FIRST_PAUSE_SECONDS = 0.5
_LONGEST_PAUSE_SECONDS = 30.0
_REFUSED = frozenset({401, 403})
_GONE = frozenset({404, 410})
_UNSATISFIABLE = 416
_RANGE = re.compile(r"bytes (\d+)-\d+/(\d+|\*)")


def new_client(connections: int) -> httpx.Client:
    """Give a client for presigned links."""
    return httpx.Client(
        # identity: a compressed answer would have another length than the file
        headers={"User-Agent": f"stemline/{__version__}", "Accept-Encoding": "identity"},
        timeout=httpx.Timeout(30.0, connect=10.0),
        limits=httpx.Limits(max_connections=connections),
        follow_redirects=True,
    )


class DownloadChunk(NamedTuple):
    """Some bytes of a file on its way."""

    start: int
    """Where in the file they belong: before what came last when the server began anew."""
    total: int | None
    """How long the whole file is; None: the server does not say."""
    data: bytes


@dataclass(frozen=True, slots=True)
class Downloader:
    """Downloads over one client, and tries again where a transfer breaks."""

    client: httpx.Client
    sleep: Callable[[float], None]
    stopping: Event = field(default_factory=Event)
    """Once set, every download under way ends at its next bytes."""

    def fetch(self, url: str, path: Path, most_bytes: int | None = None) -> None:
        """Download `url` to `path`, unless it is larger than `most_bytes`.

        Raises:
            LinkExpired, TransferFailed: as `chunks` does.
            StorageError: the local disk does not take it.
        """
        with disk_guarded(path.parent), path.open("wb") as file:
            for chunk in self.chunks(url, path.name, most_bytes):
                if chunk.start != file.tell():
                    file.seek(chunk.start)
                    file.truncate()
                file.write(chunk.data)

    def chunks(
        self, url: str, name: str, most_bytes: int | None = None
    ) -> Generator[DownloadChunk, None, None]:
        """Give the bytes of a file as they come, going on after a break; only attempts without progress count.

        Raises:
            LinkExpired: the link is refused or gone; a fresh one may work.
            TransferFailed: it broke off too often, or is larger than `most_bytes`.
        """
        received = idle = 0
        for _ in range(_MOST_ATTEMPTS):
            before = received
            try:
                for chunk in self._rest(url, name, received):
                    received = chunk.start + len(chunk.data)
                    _check_size(name, max(received, chunk.total or 0), most_bytes)
                    yield chunk
            except _TooLarge:
                raise
            except (TransferFailed, httpx.HTTPError) as error:
                idle = 1 if received > before else idle + 1
                reason = reason_of(error)
                if idle >= _ATTEMPTS_WITHOUT_PROGRESS or self.stopping.is_set():
                    break
                if isinstance(error, _Shrunk):
                    received = 0
                self.sleep(_pause_seconds(idle, error))
            else:
                return
        raise TransferFailed(f"The download of {name} from {_host(httpx.URL(url))} broke off: {reason}.")

    def _rest(self, url: str, name: str, start: int) -> Iterator[DownloadChunk]:
        """Ask for what is missing of the file, once; an empty chunk says first where the answer begins."""
        headers = {"Range": f"bytes={start}-"} if start else {}
        with self.client.stream("GET", url, headers=headers) as response:
            _check_status(response, name)
            _check_kind(response)
            start, total = _extent(response, start)
            yield DownloadChunk(start, total, b"")
            for data in response.iter_raw():  # as it comes: a full chunk would lose what a break cut short
                yield DownloadChunk(start, total, data)
                start += len(data)
                if self.stopping.is_set():
                    raise TransferFailed("the run stops")
        if total is not None and start != total:
            raise TransferFailed(f"{start} bytes came of {total}")


class _Shrunk(TransferFailed):
    """There is more here than there: begin anew."""


class _TooLarge(TransferFailed):
    """It cannot be what is expected: asking again would bring no less."""


class _Busy(TransferFailed):
    """The server asks to come back after `seconds`."""

    def __init__(self, message: str, seconds: float | None) -> None:
        """Take what it said."""
        super().__init__(message)
        self.seconds = seconds


def _check_size(name: str, size: int, most_bytes: int | None) -> None:
    if most_bytes is not None and size > most_bytes:
        raise _TooLarge(
            f"The download of {name} is larger than {most_bytes} bytes, more than a stem of this length can have."
        )


def _check_status(response: httpx.Response, name: str) -> None:
    status = response.status_code
    if status in _REFUSED | _GONE:
        sentence = f"{_host(response.url)} answers the link to {name} with status {status}."
        raise LinkExpired(sentence, is_gone=status in _GONE)
    if status == _UNSATISFIABLE:
        raise _Shrunk("the file is shorter than what came before")
    if status not in {200, 206}:
        after = response.headers.get("Retry-After", "")
        raise _Busy(f"the server answers {status}", float(after) if after.isdecimal() else None)


def _host(url: httpx.URL) -> str:
    return url.netloc.decode("ascii")


def _check_kind(response: httpx.Response) -> None:
    """Refuse a web page with status 200: a proxy's or a login's, which says nothing about the stem."""
    kind = response.headers.get("Content-Type", "").partition(";")[0].strip().lower()
    if kind in {"text/html", "application/xhtml+xml"}:
        raise TransferFailed("the server answers with a web page in place of the file")


def _extent(response: httpx.Response, start: int) -> tuple[int, int | None]:
    """Give where in the file the body begins and how long the whole file is; None: nobody says."""
    if response.status_code == httpx.codes.PARTIAL_CONTENT:
        found = _RANGE.fullmatch(response.headers.get("Content-Range", ""))
        if found is None or int(found[1]) > start:
            raise TransferFailed("the server answers with another part of the file than asked")
        return int(found[1]), None if found[2] == "*" else int(found[2])
    length = response.headers.get("Content-Length")
    return 0, int(length) if length else None


def _pause_seconds(idle: int, error: Exception) -> float:
    """Give how long to wait: as the server says, else doubling, with jitter so that workers do not march."""
    if isinstance(error, _Busy) and error.seconds is not None:
        return min(error.seconds, _LONGEST_PAUSE_SECONDS)
    longest = min(_FIRST_PAUSE_SECONDS * 2**idle, _LONGEST_PAUSE_SECONDS)
    return random.uniform(longest / 2, longest)  # noqa: S311 - jitter, no secret
