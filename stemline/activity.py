"""What each second of a stem holds and where its bytes begin: as values, and packed small until they are published.

A window of seconds `[i, j)` lies in the bytes from `byte_offset[i]` to `byte_offset[j + 1]`, or to the object's end
where there is no such second. Behind the object's first `header_bytes` these decode by themselves, and the first
sample that comes out has the number `first_frame[i]` in the whole object decoded. What comes out before the window or
behind the end of the whole is dropped: packets do not begin with seconds, and an mp3 ends with padding.

A frame of an mp3 builds on earlier ones. So an mp3 is read from some frames before the second, and without a header,
in which a decoder would find the encoder's delay and drop that much of each window; `first_frame` may be below zero
in its first second.
"""

from __future__ import annotations

import zlib
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

HOP_SECONDS = 1.0
QUIETEST_DBFS = -120.0
"""What stands for anything quieter, digital silence included: a number that compares and adds like the others."""

TENTHS = 10
"""So finely loudness is told."""

_STEP = "<i4"
_STEP_BYTES = 4
"""Numbers are packed as steps from one second to the next, none of which has two gigabytes."""


@dataclass(frozen=True, slots=True)
class SecondOffsets:
    """Where the bytes of each second of a stem begin."""

    byte_offset: tuple[int, ...]
    first_frame: tuple[int, ...]
    header_bytes: int


@dataclass(frozen=True, slots=True)
class StemActivity:
    """The loudness of each second of a stem, of the last one as far as it goes, and where their bytes begin."""

    rms_dbfs: tuple[float, ...]
    """To a tenth, over all channels."""
    offsets: SecondOffsets | None
    """None for a format whose middle does not decode by itself, such as ogg."""

    def share_below(self, dbfs: float) -> float | None:
        """Give the share of seconds that are quieter; None where there is none."""
        if not self.rms_dbfs:
            return None
        return round(sum(level < dbfs for level in self.rms_dbfs) / len(self.rms_dbfs), 6)

    def pack(self) -> bytes:
        """Give it in a few bytes a second."""
        columns = [np.rint(np.asarray(self.rms_dbfs) * TENTHS).astype(np.int64)]
        header = -1
        if self.offsets is not None:
            header = self.offsets.header_bytes
            columns += [np.asarray(self.offsets.byte_offset), np.asarray(self.offsets.first_frame)]
        steps = np.concatenate([[header], *(np.diff(column, prepend=0) for column in columns)])
        # All lowest bytes first, then the next ones: most of them are alike, and lie together.
        return zlib.compress(steps.astype(_STEP).view(np.uint8).reshape(-1, _STEP_BYTES).T.tobytes(), 9)


class PackedColumns(NamedTuple):
    """What was packed of one stem, as arrays."""

    tenths: NDArray[np.int64]
    """Of dBFS."""
    byte_offset: NDArray[np.int64] | None
    first_frame: NDArray[np.int64] | None
    header_bytes: int | None


def unpack(packed: bytes) -> PackedColumns:
    """Give what `StemActivity.pack` packed."""
    planes = np.frombuffer(zlib.decompress(packed), np.uint8).reshape(_STEP_BYTES, -1)
    steps = np.ascontiguousarray(planes.T).view(_STEP).ravel().astype(np.int64)
    header, rest = int(steps[0]), steps[1:]
    if header < 0:
        return PackedColumns(np.cumsum(rest), None, None, None)
    tenths, byte_offset, first_frame = np.cumsum(rest.reshape(3, -1), axis=1)
    return PackedColumns(tenths, byte_offset, first_frame, header)
