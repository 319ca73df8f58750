"""The frequency grid masks live on: single FFT bins where notes are, wider bands above."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from stemline_local.engine.stft import OVERLAP, Floats

FINE_HERTZ = 4000.0
"""Below this every bin is a band of its own; above, bands double in width with each octave."""


@dataclass(frozen=True, slots=True, eq=False)
class FrequencyGrid:
    """Bands over the bins of one transform."""

    starts: NDArray[np.intp]
    """First bin of each band."""
    widths: Floats
    """Bins of each band."""
    band_of_bin: NDArray[np.intp]
    hertz: Floats
    """Centre of each band."""
    spacing: float
    """Hertz between bins."""

    def reduce(self, power: Floats) -> Floats:
        """Give the mean power of each band: (frames, bins) -> (frames, bands)."""
        sums: Floats = np.add.reduceat(power, self.starts, axis=1)
        return sums / self.widths

    def expand(self, mask: Floats) -> Floats:
        """Give every bin its band's value: (frames, bands) -> (frames, bins)."""
        return mask.take(self.band_of_bin, axis=1)


@lru_cache(maxsize=8)
def grid_for(hop: int, sample_rate: int) -> FrequencyGrid:
    """Give the grid of a transform with windows of `OVERLAP` hops at `sample_rate`."""
    bins = OVERLAP * hop // 2 + 1
    spacing = sample_rate / (OVERLAP * hop)
    starts, position = [], 0
    while position < bins:
        starts.append(position)
        octave = np.floor(np.log2(max(position * spacing, 1.0) / FINE_HERTZ)) + 1
        position += 1 if octave < 1 else 2 ** int(octave)
    edges = np.array([*starts, bins], np.intp)
    widths = np.diff(edges)
    return FrequencyGrid(
        starts=edges[:-1],
        widths=widths.astype(np.float32),
        band_of_bin=np.repeat(np.arange(len(starts)), widths),
        hertz=((edges[:-1] + (widths - 1) / 2) * spacing).astype(np.float32),
        spacing=spacing,
    )
