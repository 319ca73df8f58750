"""Sound that comes in blocks, read in parts of other lengths."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import chain

import numpy as np

from stemline.audio.resampling import Samples


class BlockReader:
    """Reads samples (n, channels) that come in blocks in parts of any length, which may overlap."""

    def __init__(self, blocks: Iterable[Samples], channels: int) -> None:
        """Begin before the first block."""
        self._blocks = iter(blocks)
        self._held = np.zeros((0, channels), np.float32)

    def take(self, count: int, again: int = 0) -> Samples:
        """Give the next so many samples, fewer where the sound ends; the last `again` of them come once more."""
        given = np.empty((count, self._held.shape[1]), np.float32)
        filled, rest = 0, self._held
        for block in chain((self._held,), self._blocks):
            inside = block[: count - filled]
            given[filled : filled + len(inside)] = inside
            filled, rest = filled + len(inside), block[len(inside) :]
            if filled == count:
                break
        given = given[:filled]
        self._held = np.concatenate([given[max(0, filled - again) :], rest])
        return given
