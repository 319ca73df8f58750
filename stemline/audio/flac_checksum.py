"""Whether a flac's samples are those that were encoded: its own checksum, compared with what was decoded."""

from __future__ import annotations

import hashlib

import numpy as np

from stemline.audio.decoding import AudioBlocks
from stemline.audio.resampling import Samples

_STREAMINFO_BYTES = 34
_CHECKED_BITS = frozenset({16, 24})  # float32 holds both exactly


class FlacChecksum:
    """The length and MD5 that a flac carries of its own samples, compared with what was decoded.

    The decoder leaves out damaged frames and says nothing. Layout of STREAMINFO: RFC 9639, section 8.2.
    """

    def __init__(self, bits: int = 0, frames: int = 0, md5: bytes = b"") -> None:
        """Take what the header says; without it nothing is compared."""
        self._bits, self._frames, self._md5 = bits, frames, md5
        self._is_checked = bits in _CHECKED_BITS and any(md5)
        self._digest = hashlib.md5(usedforsecurity=False)

    @classmethod
    def read(cls, stream: AudioBlocks) -> FlacChecksum:
        """Give the checksum in a file's header; a file without one is never broken."""
        if stream.container != "flac" or len(stream.header) < _STREAMINFO_BYTES:
            return cls()
        packed = int.from_bytes(stream.header[10:18])  # rate 20 bits, channels 3, bits a sample 5, samples 36
        return cls((packed >> 36 & 0x1F) + 1, packed & 0xF_FFFF_FFFF, stream.header[18:34])

    def add(self, block: Samples) -> None:
        """Take in decoded samples, as the integers they were."""
        if not self._is_checked:
            return
        whole = block * np.float32(2.0 ** (self._bits - 1))
        if self._bits == 16:
            self._digest.update(whole.astype("<i2").data)
        else:
            self._digest.update(whole.astype("<i4").view(np.uint8).reshape(-1, 4)[:, :3].tobytes())

    def is_broken(self, frames: int) -> bool:
        """Tell whether the decoded samples are not those that were encoded."""
        return 0 < self._frames != frames or (self._is_checked and self._digest.digest() != self._md5)
