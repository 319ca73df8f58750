"""The length of an mp3 from its Xing, Info or VBRI header, where it has one.

Layouts: ISO/IEC 11172-3 2.4.1.3 (frame header); the "Mp3 Info Tag rev 1" page of the LAME project (Xing,
Info, encoder delay and padding); Fraunhofer's VBRI as the mp3-tech.org header page lists it.
"""

from __future__ import annotations

import struct
from collections import Counter
from dataclasses import dataclass
from functools import cache
from typing import IO

_MPEG_1 = 3
_RESERVED = 1
_LAYER_3 = 1
_KBPS_MPEG_1 = (0, 32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320)
_KBPS_MPEG_2 = (0, 8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160)
_SAMPLE_RATES = {3: (44100, 48000, 32000), 2: (22050, 24000, 16000), 0: (11025, 12000, 8000)}
_HAS_FRAMES, _HAS_BYTES, _HAS_TOC, _HAS_QUALITY = 1, 2, 4, 8
_ENCODERS = (b"LAME", b"Lavc", b"Lavf")
_VBRI_OFFSET = 36
# Farther in, a chance match in another format is likelier than a late start.
_SEARCH_BYTES = 8192
_CHUNK_BYTES = 1 << 20
_LONGEST_FRAME = 4096
"""With the header of the next one; the largest has 1,441 bytes."""


@dataclass(frozen=True, slots=True)
class Mp3Frame:
    """The header of an mp3 frame."""

    start: int
    size_bytes: int
    is_mpeg_1: bool
    sample_rate: int
    channels: int

    @property
    def samples(self) -> int:
        """Samples per channel in one frame."""
        return 1152 if self.is_mpeg_1 else 576

    @property
    def info_start(self) -> int:
        """Where a Xing or Info header begins: behind the side information."""
        if self.is_mpeg_1:
            return self.start + (21 if self.channels == 1 else 36)
        return self.start + (13 if self.channels == 1 else 21)


@dataclass(frozen=True, slots=True)
class Mp3Length:
    """What the header of an mp3 says."""

    frame: Mp3Frame
    samples: int
    audio_bytes: int | None
    """Size of all frames; None: the header does not say."""
    is_exact: bool
    """Encoder delay and padding are known and taken off."""
    is_constant: bool = False
    """Every frame has the same bit rate, says the header."""

    @property
    def duration_seconds(self) -> float:
        """The length without encoder delay and padding, where they are known."""
        return self.samples / self.frame.sample_rate


def tag_bytes(head: bytes) -> int:
    """Give the size of the ID3v2 tag that data begins with, 0 without one."""
    if len(head) < 10 or head[:3] != b"ID3":
        return 0
    has_footer = head[5] & 0x10
    size = (head[6] & 127) << 21 | (head[7] & 127) << 14 | (head[8] & 127) << 7 | (head[9] & 127)
    return 10 + size + (10 if has_footer else 0)


def first_frame(data: bytes) -> Mp3Frame | None:
    """Give the first mp3 frame, near the start, that another of its kind follows; a lone one will do."""
    start = data.find(b"\xff", 0, _SEARCH_BYTES)
    while 0 <= start < len(data) - 4:
        frame = _frame_at(data, start)
        if frame is not None and _is_followed(data, frame):
            return frame
        start = data.find(b"\xff", start + 1, _SEARCH_BYTES)
    return None


def read_length(data: bytes) -> Mp3Length | None:
    """Give the length that the first frame of `data` announces; None: it has no such header."""
    frame = first_frame(data)
    if frame is None:
        return None
    if not _is_header(data, frame):
        return None
    return _vbri(data, frame) if _has_vbri(data, frame) else _xing(data, frame)


def _is_header(data: bytes, frame: Mp3Frame) -> bool:
    """Tell whether a frame holds a Xing, Info or VBRI header in place of sound."""
    is_xing = data[frame.info_start : frame.info_start + 4] in (b"Xing", b"Info")
    return is_xing or _has_vbri(data, frame)


def _has_vbri(data: bytes, frame: Mp3Frame) -> bool:
    return data.startswith(b"VBRI", frame.start + _VBRI_OFFSET)


def mean_frame_bytes(data: bytes, most: int) -> float:
    """Give the mean size of the first frames in data, `most` of them; 0 where there are none."""
    place = data.find(b"\xff")
    while 0 <= place < len(data) - 4:
        begin, count = place, 0
        while count < most and (size := _size_at(data, place)):
            place, count = place + size, count + 1
        if count > 1:
            return (place - begin) / count
        place = data.find(b"\xff", begin + 1)
    return 0.0


def _size_at(data: bytes, place: int) -> int:
    """Give the size of the frame at a place, 0 where there is none."""
    if place + 4 > len(data) or data[place] != 0xFF:
        return 0
    return _size_of(data[place + 1], data[place + 2])


@cache
def _size_of(second: int, third: int) -> int:
    frame = _frame_at(bytes([0xFF, second, third, 0]), 0)
    return 0 if frame is None else frame.size_bytes


def count_seconds(file: IO[bytes], size_bytes: int) -> tuple[float, Mp3Frame | None]:
    """Give the length of all frames of an mp3, and its first frame; None: there is none.

    What stands between frames is skipped: a frame counts where another one of its kind follows it, or went before.
    """
    counts: Counter[tuple[int, int]] = Counter()
    first: Mp3Frame | None = None
    block, base, place, expected = b"", 0, 0, -1
    while place + 4 <= size_bytes:
        if not base <= place <= base + len(block) - _LONGEST_FRAME and base + len(block) < size_bytes:
            file.seek(place)
            block, base = file.read(_CHUNK_BYTES), place
        at = place - base
        if at + 4 > len(block):
            break
        frame = _frame_at(block, at) if block[at] == 0xFF else None
        if frame is not None and (place == expected or _is_followed(block, frame)):
            is_sound = place == expected or not _is_header(block, frame)
            counts[frame.samples, frame.sample_rate] += is_sound
            first = first or frame
            place = expected = place + frame.size_bytes
        elif tag := tag_bytes(block[at : at + 10]):
            place += tag
        else:
            found = block.find(b"\xff", at + 1)
            place = base + (found if found >= 0 else len(block))
    return sum(count * samples / rate for (samples, rate), count in counts.items()), first


def _frame_at(data: bytes, start: int) -> Mp3Frame | None:
    second, third, fourth = data[start + 1], data[start + 2], data[start + 3]
    version, layer = second >> 3 & 3, second >> 1 & 3
    bit_rate, rate = third >> 4, third >> 2 & 3
    if second & 0xE0 != 0xE0 or version == _RESERVED or layer != _LAYER_3:
        return None
    if bit_rate in (0, 15) or rate == 3:
        return None
    is_mpeg_1 = version == _MPEG_1
    sample_rate = _SAMPLE_RATES[version][rate]
    kbps = (_KBPS_MPEG_1 if is_mpeg_1 else _KBPS_MPEG_2)[bit_rate]
    size = (144 if is_mpeg_1 else 72) * kbps * 1000 // sample_rate + (third >> 1 & 1)
    return Mp3Frame(start, size, is_mpeg_1, sample_rate, 1 if fourth >> 6 == 3 else 2)


def _is_followed(data: bytes, frame: Mp3Frame) -> bool:
    behind = frame.start + frame.size_bytes
    if behind + 4 > len(data):
        return frame.start == 0
    # Version, layer and rate stay; the protection bit, the bit rate and the padding may change.
    is_same_kind = data[behind + 1] & 0xFE == data[frame.start + 1] & 0xFE
    return data[behind] == 0xFF and is_same_kind and data[behind + 2] & 0x0C == data[frame.start + 2] & 0x0C


def _xing(data: bytes, frame: Mp3Frame) -> Mp3Length | None:
    place = frame.info_start + 8
    if len(data) < place + 120:
        return None
    flags, is_constant = data[place - 1], data[frame.info_start] == ord("I")
    if not flags & _HAS_FRAMES:
        return None
    samples = _uint32(data, place) * frame.samples
    place += 4
    audio_bytes = None
    if flags & _HAS_BYTES:
        audio_bytes = _uint32(data, place)
        place += 4
    place += (100 if flags & _HAS_TOC else 0) + (4 if flags & _HAS_QUALITY else 0)
    if data[place : place + 4] not in _ENCODERS or len(data) < place + 24:
        return Mp3Length(frame, samples, audio_bytes, is_exact=False, is_constant=is_constant)
    gaps = int.from_bytes(data[place + 21 : place + 24], "big")
    heard = max(samples - (gaps >> 12) - (gaps & 0xFFF), 0)
    return Mp3Length(frame, heard, audio_bytes, is_exact=True, is_constant=is_constant)


def _vbri(data: bytes, frame: Mp3Frame) -> Mp3Length | None:
    place = frame.start + _VBRI_OFFSET
    if len(data) < place + 18:
        return None
    samples = _uint32(data, place + 14) * frame.samples
    return Mp3Length(frame, samples, _uint32(data, place + 10), is_exact=False)


def _uint32(data: bytes, place: int) -> int:
    return int(struct.unpack_from(">I", data, place)[0])
