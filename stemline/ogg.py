"""Where the links of an Ogg file begin: a radio recording, or files put one behind the other, has several.

Layout of a page: RFC 3533, section 6. Each link is a whole Ogg file of its own, with its own rate and channels.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from typing import IO

from stemline.seekable_file import SeekableFile

MAGIC = b"OggS"
_FIRST_PAGE = b"OggS\x00\x02"
_HEADER_BYTES = 27
_CHUNK_BYTES = 1 << 20
_LONGEST_PAGE = _HEADER_BYTES + 255 + 255 * 255
_LEAST_SHARE = 0.75
"""A last page whose number is less than this share of the pages there must be has others before its link."""


@dataclass(frozen=True, slots=True)
class _Page:
    start: int
    serial: int
    number: int
    size_bytes: int


class LinkFile(SeekableFile):
    """A part of an open file, read as a file of its own."""

    def __init__(self, file: IO[bytes], start: int, end: int) -> None:
        """Take the open file and the part's ends."""
        super().__init__(end - start)
        self._file, self._start = file, start

    def read(self, size: int | None = -1) -> bytes:
        """Give up to `size` bytes, fewer only at the end."""
        left = max(self.size_bytes - self._place, 0)
        self._file.seek(self._start + self._place)
        data = self._file.read(left if size is None or size < 0 else min(size, left))
        self._place += len(data)
        return data


def may_have_links(head: bytes, tail: bytes, size_bytes: int) -> bool:
    """Tell from an Ogg file's beginning and end whether it may hold more than one link.

    The last page then belongs to a stream that did not begin at the start, or has too small a number for so large
    a file.
    """
    first = set()
    page = _page_at(head, 0)
    while page is not None and head.startswith(_FIRST_PAGE, page.start):
        first.add(page.serial)
        page = _page_at(head, page.start + page.size_bytes)
    last = _last_page(tail)
    if last is None or last.serial not in first:
        return True
    begin = tail.find(MAGIC)
    mean = (last.start - begin + last.size_bytes) / (tail.count(MAGIC, begin, last.start) + 1)
    return len(first) == 1 and last.number + 1 < _LEAST_SHARE * size_bytes / mean


def link_starts(file: IO[bytes]) -> list[int]:
    """Give where each link of an Ogg file begins; reads all of it. Streams that begin together are one link."""
    starts: list[int] = []
    behind, place, kept = -1, 0, b""
    file.seek(0)
    while data := file.read(_CHUNK_BYTES):
        block = kept + data
        at = block.find(_FIRST_PAGE)
        # A page that may reach over the end of the block is looked at with the next one.
        while at >= 0 and (at + _LONGEST_PAGE <= len(block) or len(data) < _CHUNK_BYTES):
            page = _page_at(block, at)
            if page is not None:
                if place + at != behind:
                    starts.append(place + at)
                behind = place + at + page.size_bytes
            at = block.find(_FIRST_PAGE, at + 1)
        cut = at if at >= 0 else max(len(block) - len(_FIRST_PAGE) + 1, 0)
        place, kept = place + cut, block[cut:]
    return starts


def links(file: IO[bytes], size_bytes: int) -> list[LinkFile]:
    """Give each link of an Ogg file as a file of its own."""
    starts = link_starts(file)
    return [LinkFile(file, start, end) for start, end in zip(starts, [*starts[1:], size_bytes], strict=False)]


def _last_page(data: bytes) -> _Page | None:
    at = data.rfind(MAGIC)
    while at >= 0:
        page = _page_at(data, at)
        if page is not None:
            return page
        at = data.rfind(MAGIC, 0, at)
    return None


def _page_at(data: bytes, start: int) -> _Page | None:
    """Give the page that begins at a place; None: there is none, or its header is not all there."""
    if not data.startswith(b"OggS\x00", start) or len(data) < start + _HEADER_BYTES:
        return None
    serial, number = struct.unpack_from("<II", data, start + 14)
    segments = data[start + 26]
    sizes = data[start + _HEADER_BYTES : start + _HEADER_BYTES + segments]
    return _Page(start, serial, number, _HEADER_BYTES + segments + sum(sizes))
