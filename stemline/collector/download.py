"""One file over HTTP, whole: a broken transfer goes on where it broke.

Links are presigned: they carry their own right, and any Authorization header would void it.
"""

from __future__ import annotations

import random
import re
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from threading import Event

import httpx

from stemline import __version__
from stemline.errors import LinkExpired, TransferFailed
from stemline.storage import disk_guarded

_TRIES_WITHOUT_PROGRESS = 4
_TRIES = 50
_FIRST_PAUSE_SECONDS = 0.5
_LONGEST_PAUSE_SECONDS = 30.0
_GONE = frozenset({401, 403, 404, 410})
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


@dataclass(frozen=True, slots=True)
class Downloader:
    """A client and the patience to use it with."""

    client: httpx.Client
    sleep: Callable[[float], None]
    stopping: Event = field(default_factory=Event)
    """Once set, every download under way ends at its next bytes."""

    def fetch(self, url: str, path: Path) -> None:
        """Download `url` to `path`, going on after a break; only tries without progress count against it.

        Raises:
            LinkExpired: the link is refused or gone; a fresh one may work.
            TransferFailed: it broke off too often.
            StorageError: the local disk does not take it.
        """
        with disk_guarded(path.parent):
            path.touch()
        idle = 0
        for _ in range(_TRIES):
            before = path.stat().st_size
            try:
                self._fetch_rest(url, path)
            except (TransferFailed, httpx.HTTPError) as error:
                idle = 1 if path.stat().st_size > before else idle + 1
                reason = str(error) or type(error).__name__
                if idle >= _TRIES_WITHOUT_PROGRESS or self.stopping.is_set():
                    break
                self.sleep(_pause_seconds(idle, error))
            else:
                return
        raise TransferFailed(f"The download of {path.name} broke off: {reason}.")

    def _fetch_rest(self, url: str, path: Path) -> None:
        """Ask for what is missing of the file, once, and append it."""
        start = path.stat().st_size
        headers = {"Range": f"bytes={start}-"} if start else {}
        with self.client.stream("GET", url, headers=headers) as response:
            _check_status(response, path)
            _check_kind(response)
            start, total = _extent(response, start)
            with disk_guarded(path.parent), path.open("r+b") as file:
                file.truncate(start)
                file.seek(start)
                for (
                    chunk
                ) in response.iter_raw():  # as it comes: a full chunk would lose what a break cut short
                    file.write(chunk)
                    if self.stopping.is_set():
                        raise TransferFailed("the run stops")
                received = file.tell()
        if total is not None and received != total:
            raise TransferFailed(f"{received} bytes came of {total}")


class _Busy(TransferFailed):
    """The server asks to come back after `seconds`."""

    def __init__(self, message: str, seconds: float | None) -> None:
        """Take what it said."""
        super().__init__(message)
        self.seconds = seconds


def _check_status(response: httpx.Response, path: Path) -> None:
    status = response.status_code
    if status in _GONE:
        raise LinkExpired(f"The link to {path.name} is answered with {status}.")
    if status == _UNSATISFIABLE:
        path.write_bytes(b"")  # there is more here than there: begin anew
        raise TransferFailed("the file is shorter than what came before")
    if status not in {200, 206}:
        after = response.headers.get("Retry-After", "")
        raise _Busy(f"the server answers {status}", float(after) if after.isdecimal() else None)


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
