"""An http(s) URL as a seekable file: ranges where the server has them, a temporary copy where it has not."""

from __future__ import annotations

import atexit
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache
from http import HTTPStatus
from typing import IO

import httpx

from stemline.probe.ranges import RangeFile

_SECONDS = 30.0


@contextmanager
def open_web(url: str, block_bytes: int) -> Iterator[tuple[IO[bytes] | RangeFile, int]]:
    """Give the file and its size; no HEAD request, which presigned links refuse.

    Raises `FileNotFoundError` for 404 and 410, `httpx.HTTPError` for everything else.
    """
    with tempfile.TemporaryFile() as copy:
        with _client().stream("GET", url, headers=_range(0, block_bytes)) as answer:
            if answer.status_code in (HTTPStatus.NOT_FOUND, HTTPStatus.GONE):
                raise FileNotFoundError(url)
            if answer.status_code != HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE:
                answer.raise_for_status()
                for chunk in answer.iter_bytes():
                    copy.write(chunk)
            total = answer.headers.get("Content-Range", "").rpartition("/")[2]
        size_bytes = copy.tell()
        copy.seek(0)
        if answer.status_code == HTTPStatus.PARTIAL_CONTENT and total.isdigit() and int(total) > size_bytes:
            first = copy.read()
            yield RangeFile(_fetch_from(url), int(total), block_bytes, first), int(total)
        else:
            yield copy, size_bytes if answer.is_success else 0


def _fetch_from(url: str) -> Callable[[int, int], bytes]:
    def fetch(start: int, end: int) -> bytes:
        answer = _client().get(url, headers=_range(start, end)).raise_for_status()
        if answer.status_code != HTTPStatus.PARTIAL_CONTENT:
            raise httpx.RemoteProtocolError("the server stopped answering with ranges")
        return answer.content

    return fetch


def _range(start: int, end: int) -> dict[str, str]:
    # Compressed bytes have other places than the file's.
    return {"Range": f"bytes={start}-{end - 1}", "Accept-Encoding": "identity"}


@cache
def _client() -> httpx.Client:
    # One for all files: a handshake and the certificates for each would cost more than the ranges.
    client = httpx.Client(follow_redirects=True, timeout=_SECONDS)
    atexit.register(client.close)
    return client
