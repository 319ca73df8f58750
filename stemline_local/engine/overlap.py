"""Parts of a sound that overlap, put together without ever holding all of it."""

from __future__ import annotations

import numpy as np

from stemline_local.engine.stft import Floats


class OverlapAdd:
    """Adds up parts (stems, n, channels) that overlap, and gives what is finished."""

    def __init__(self, stems: int, channels: int) -> None:
        """Begin with silence."""
        self._sums = np.zeros((stems, 0, channels), np.float32)
        self._start = 0

    def add(self, start: int, part: Floats) -> None:
        """Add a part at a place, not before what was given."""
        first, last = start - self._start, start - self._start + part.shape[1]
        if last > self._sums.shape[1]:
            self._sums = np.pad(self._sums, ((0, 0), (0, last - self._sums.shape[1]), (0, 0)))
        self._sums[:, first:last] += part

    def take(self, stop: int) -> Floats:
        """Give what lies before `stop` and was not given yet: no further part reaches there."""
        count = stop - self._start
        given, self._sums = self._sums[:, :count], self._sums[:, count:].copy()
        self._start = stop
        return given
