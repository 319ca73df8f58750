"""Whether a flac holds what its header says: one that was joined to another, or cut, says so in its frames.

Layout: RFC 9639, sections 8 (metadata blocks) and 9.1 (frame header, with its checksum).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import IO

MAGIC = b"fLaC"
_BEGINNING = b"fLaC\x00\x00\x00\x22"
_CHUNK_BYTES = 1 << 20
_FRAME_BYTES = 32_768
_MIDDLE = 0.618
"""Where a file is looked at besides its end: of two, three, four or more equal parts it lies in another place."""
_SLACK = 0.12
_BLOCK_SAMPLES = {1: 192, **{code: 576 << code - 2 for code in range(2, 6)}}
_BLOCK_SAMPLES |= {code: 256 << code - 8 for code in range(8, 16)}
_BY_BYTE, _BY_TWO_BYTES = 6, 7
_MOST_BLOCKS = 256
_SECOND_BYTES = b"\xf8\xf9"

ReadAt = Callable[[int, int], bytes]
"""Gives so many bytes from a place on."""


def is_whole(read_at: ReadAt, start: int, size_bytes: int) -> bool:
    """Tell whether the flac that begins at `start` ends with the sample that its header says, and is one file."""
    info = read_at(start + 8, 34)
    if len(info) < 34:
        return False
    total = int.from_bytes(info[10:18]) & 0xFFFFFFFFF
    block_samples = int.from_bytes(info[:2])
    if total == 0 or _last_sample(read_at, size_bytes, block_samples) != total:
        return False
    begin = _audio_start(read_at, start)
    middle = int(begin + (size_bytes - begin) * _MIDDLE)
    data = read_at(middle, _FRAME_BYTES)
    for at in _places(data):
        frame = _frame(data, at, block_samples)
        if frame is not None:
            return abs(frame[0] / total - (middle + at - begin) / (size_bytes - begin)) <= _SLACK
    return size_bytes - begin < 2 * _FRAME_BYTES  # a short file, in few frames


def starts(file: IO[bytes]) -> list[int]:
    """Give where each flac in a file of several begins; reads all of it."""
    found: list[int] = []
    place, kept = 0, b""
    file.seek(0)
    while data := file.read(_CHUNK_BYTES):
        block = kept + data
        at = block.find(_BEGINNING)
        while at >= 0:
            found.append(place + at)
            at = block.find(_BEGINNING, at + 1)
        kept = block[1 - len(_BEGINNING) :]
        place += len(block) - len(kept)
    return found


def _last_sample(read_at: ReadAt, size_bytes: int, block_samples: int) -> int | None:
    """Give the sample behind the last frame; None: there is none near the end."""
    data = read_at(max(size_bytes - _FRAME_BYTES, 0), _FRAME_BYTES)
    for at in _places_from_end(data):
        frame = _frame(data, at, block_samples)
        if frame is not None:
            return sum(frame)
    return None


def _places(data: bytes) -> Iterator[int]:
    """Give where a frame may begin, in order."""
    at = data.find(b"\xff")
    while 0 <= at < len(data) - 1:
        if data[at + 1] in _SECOND_BYTES:
            yield at
        at = data.find(b"\xff", at + 1)


def _places_from_end(data: bytes) -> Iterator[int]:
    at = data.rfind(b"\xff", 0, len(data) - 1)
    while at >= 0:
        if data[at + 1] in _SECOND_BYTES:
            yield at
        at = data.rfind(b"\xff", 0, at)


def _audio_start(read_at: ReadAt, start: int) -> int:
    place = start + len(MAGIC)
    for _ in range(_MOST_BLOCKS):
        header = read_at(place, 4)
        if len(header) < 4:
            break
        place += 4 + int.from_bytes(header[1:])
        if header[0] & 0x80:
            break
    return place


def _frame(data: bytes, at: int, block_samples: int) -> tuple[int, int] | None:
    """Give the first sample of the frame at a place, and how many it has; None: its checksum does not fit."""
    header = data[at : at + 16]
    if len(header) < 16 or header[3] & 1:
        return None
    size = 8 - (header[4] ^ 0xFF).bit_length()  # of the number, written as UTF-8 is
    if size in (1, 8):
        return None
    size = max(size, 1)
    number = header[4] & (0x7F if size == 1 else 0x7F >> size)
    for each in header[5 : 4 + size]:
        number = number << 6 | each & 0x3F
    place, code = 4 + size, header[2] >> 4
    samples = _BLOCK_SAMPLES.get(code, 0)
    if code in (_BY_BYTE, _BY_TWO_BYTES):
        wide = code - 5
        samples, place = int.from_bytes(header[place : place + wide]) + 1, place + wide
    place += {12: 1, 13: 2, 14: 2}.get(header[2] & 15, 0)
    if not samples or place >= 16 or _crc8(header[:place]) != header[place]:
        return None
    return (number if header[1] & 1 else number * block_samples), samples


def _crc8(data: bytes) -> int:
    value = 0
    for each in data:
        value = _CRC[value ^ each]
    return value


def _crc_of(value: int) -> int:
    for _ in range(8):
        value = (value << 1 ^ 0x07) & 0xFF if value & 0x80 else value << 1
    return value


_CRC = bytes(map(_crc_of, range(256)))
