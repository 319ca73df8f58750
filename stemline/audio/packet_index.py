"""Where in a file the packets lie that each of its seconds begins in, noted while it is decoded anyway."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from fractions import Fraction
from typing import NamedTuple

from av.audio.frame import AudioFrame
from av.audio.stream import AudioStream
from av.packet import Packet

from stemline.activity import SecondOffsets

_CODECS = {"flac": "flac", "wav": "pcm_", "mp3": "mp3"}
"""Of each container in which any part decodes by itself, how the names of its codecs begin."""
_MPEG1_RATE = 32_000
"""The lowest sample rate of MPEG 1; below it are MPEG 2 and 2.5."""


class _Mp3Memory(NamedTuple):
    """What a frame of an mp3 builds on (ISO 11172-3 and 13818-3)."""

    frames: int
    """That must be right before it: two granules of 576 samples, which overlap, and overlap the next in the filters."""
    reservoir_bytes: int
    """How far back its bits may begin: `main_data_begin` has 9 bits, or 8."""
    overhead_bytes: int
    """What of a frame is header, checksum and side information at most, and not of the reservoir."""


_MPEG1 = _Mp3Memory(1, 511, 38)
_MPEG2 = _Mp3Memory(2, 255, 23)
_MOST_PACKETS_BACK = 32


class _Place(NamedTuple):
    position: int
    ticks: int
    """In the stream's time base; an encoder's delay is counted."""
    size: int


class PacketIndex:
    """Gathers where each second begins, packet by packet; what the numbers mean is said in `stemline.activity`."""

    def __init__(self) -> None:
        """Begin before the first packet."""
        self._recent: deque[tuple[int, int, int]] = deque(maxlen=_MOST_PACKETS_BACK + 1)
        """As in `_Place`: one is made of each that is looked at, not of thousands that are not."""
        self._byte_offset: list[int] = []
        self._first_frame: list[int] = []
        self._frames = self._next_second = self._header_bytes = 0
        self._is_told = True
        """Whether all of it can be told so far."""

    def add(self, packet: Packet[AudioStream], frames: Sequence[AudioFrame]) -> None:
        """Take in a packet and what was decoded of it."""
        position, ticks = packet.pos, packet.pts
        if position is None or ticks is None:
            # An empty one, at the end, has the decoder give what it still holds.
            self._is_told = self._is_told and not frames
            return
        if not self._recent:
            self._begin(packet)
        self._recent.append((position, ticks, packet.size))
        for frame in frames:
            self._frames += frame.samples
        if self._frames > self._next_second:
            self._note_seconds(packet, frames)

    def offsets(self, container: str, codec: str) -> SecondOffsets | None:
        """Give where each second begins, in a file of which any part decodes by itself; else None."""
        wanted = _CODECS.get(container)
        if wanted is None or not codec.startswith(wanted) or not self._is_told:
            return None
        header_bytes = 0 if self._is_mp3 else self._header_bytes
        return SecondOffsets(tuple(self._byte_offset), tuple(self._first_frame), header_bytes)

    def _begin(self, packet: Packet[AudioStream]) -> None:
        self._header_bytes = packet.pos or 0
        self._is_mp3 = packet.stream.codec_context.name.startswith("mp3")

    def _note_seconds(self, packet: Packet[AudioStream], frames: Sequence[AudioFrame]) -> None:
        """Note the seconds that begin in the last packet, of which these frames came."""
        rate, count = frames[0].sample_rate, sum(frame.samples for frame in frames)
        ticks_to_frames = Fraction(packet.time_base) * rate
        begins = self._frames - count
        if not begins:  # of the first a decoder may leave out the beginning
            begins = count - int((packet.duration or 0) * ticks_to_frames)
        place, last = self._first_to_read(rate), _Place(*self._recent[-1])
        while self._next_second < self._frames:
            self._byte_offset.append(place.position)
            self._first_frame.append(begins - int((last.ticks - place.ticks) * ticks_to_frames))
            self._next_second += rate

    def _first_to_read(self, rate: int) -> _Place:
        """Give the packet to read from, so that the last one comes out as in the whole file.

        In an mp3 some frames before it must be right, and their bits may begin in still earlier ones; a frame that
        lacks its bits comes out silent and does no other harm.
        """
        if not self._is_mp3:
            return _Place(*self._recent[-1])
        memory = _MPEG1 if rate >= _MPEG1_RATE else _MPEG2
        missing = memory.reservoir_bytes
        for each in list(self._recent)[-memory.frames - 2 :: -1]:
            place = _Place(*each)
            missing -= max(place.size - memory.overhead_bytes, 0)
            if missing <= 0:
                return place
        # Frames of next to nothing, 8 kbit/s in stereo: what one builds on may be a second back.
        self._is_told = self._is_told and len(self._recent) <= _MOST_PACKETS_BACK
        return _Place(*self._recent[0])
