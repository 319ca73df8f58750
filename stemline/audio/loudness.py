"""How loud a sound is: the whole of it, and each of its seconds."""

from __future__ import annotations

import math

import numpy as np

from stemline.activity import QUIETEST_DBFS
from stemline.audio.resampling import Samples

_FULL_SCALE = 0.9999  # a 16-bit sample at its limit
_LOUDEST = 1e12  # of samples that are no numbers, or next to none


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
        lengths = np.full(len(self._squares), self._sample_rate)
        lengths[-1:] = self.frames - self._sample_rate * (len(lengths) - 1)
        powers = np.nan_to_num(np.asarray(self._squares) / (lengths * self._channels))
        levels = 10 * np.log10(np.clip(powers, 10 ** (QUIETEST_DBFS / 10), _LOUDEST))
        return tuple(np.round(levels, 1).tolist())

    def _add_squares(self, block: Samples) -> None:
        """Add each piece of a block to the second that it lies in."""
        with np.errstate(over="ignore"):
            squares, start = np.square(block), 0
        while start < len(squares):
            second, done = divmod(self.frames, self._sample_rate)
            piece = squares[start : start + self._sample_rate - done]
            if second == len(self._squares):
                self._squares.append(0.0)
            self._squares[second] += float(piece.sum())
            self.frames += len(piece)
            start += len(piece)
