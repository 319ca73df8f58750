"""How loud a sound is: the whole of it, and each of its seconds."""

from __future__ import annotations

import math

import numpy as np

from stemline.activity import QUIETEST_DBFS
from stemline.audio.resampling import Samples

_FULL_SCALE = 0.9999  # a 16-bit sample at its limit


class Loudness:
    """Loudness over all blocks seen so far."""

    def __init__(self, sample_rate: int) -> None:
        """Begin before the first block."""
        self.frames = 0
        self.peak = 0.0
        self.has_nan = False
        self._sample_rate = sample_rate
        self._samples = 0
        self._full = 0
        self._squares: list[float] = []
        """Of each second that has begun."""
        self._channels = 1

    def add(self, block: Samples) -> None:
        """Take in float32 samples of shape (n, channels)."""
        loudness = np.abs(block)
        peak = float(loudness.max(initial=0.0))
        self.has_nan = self.has_nan or not math.isfinite(peak)
        self.peak = max(self.peak, peak)
        self._channels = block.shape[1]
        self._samples += block.size
        self._full += int(np.count_nonzero(loudness >= _FULL_SCALE))
        self._add_squares(block)

    @property
    def rms(self) -> float:
        """Root mean square; full scale is 1."""
        return math.sqrt(sum(self._squares) / self._samples) if self._samples else 0.0

    @property
    def clipped_share(self) -> float:
        """The share of samples at full scale."""
        return self._full / self._samples if self._samples else 0.0

    def rms_dbfs_by_second(self) -> tuple[float, ...]:
        """Give the root mean square of each second in dB below full scale; of the last as far as it goes."""
        lengths = [self._sample_rate] * len(self._squares)
        if lengths:
            lengths[-1] = self.frames - self._sample_rate * (len(lengths) - 1)
        quietest = 10 ** (QUIETEST_DBFS / 10)
        return tuple(
            round(10 * math.log10(max(squares / (length * self._channels), quietest)), 1)
            for squares, length in zip(self._squares, lengths, strict=True)
        )

    def _add_squares(self, block: Samples) -> None:
        """Add each piece of a block to the second that it lies in."""
        start = 0
        while start < len(block):
            second, done = divmod(self.frames, self._sample_rate)
            piece = block[start : start + self._sample_rate - done]
            if second == len(self._squares):
                self._squares.append(0.0)
            self._squares[second] += float(np.sum(np.square(piece, dtype=np.float64)))
            self.frames += len(piece)
            start += len(piece)
