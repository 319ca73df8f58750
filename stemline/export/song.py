"""The sound of one track as exports need it: stems of one length, and the mixture they were made of."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np

from stemline.audio import Samples


class Song(NamedTuple):
    """Stems and mixture of a track, all (frames, channels) with the same number of frames."""

    stems: dict[str, Samples]
    mixture: Samples
    is_summed: bool
    """The mixture is the sum of the stems, as no mix was kept."""


def aligned_song(stems: Mapping[str, Samples], mix: Samples | None = None) -> Song:
    """Give stems cut to the shortest of them, and the mix in their length and channels, else their sum.

    A sum may pass full scale. A mix that ends earlier is followed by silence.
    """
    frames = min(len(samples) for samples in stems.values())
    channels = max(samples.shape[1] for samples in stems.values())
    cut = {stem: _with_channels(samples[:frames], channels) for stem, samples in stems.items()}
    if mix is None:
        return Song(cut, _sum(cut, (frames, channels)), is_summed=True)
    mixture = _with_channels(mix[:frames], channels)
    return Song(cut, np.pad(mixture, ((0, frames - len(mixture)), (0, 0))), is_summed=False)


def _sum(stems: Mapping[str, Samples], shape: tuple[int, int]) -> Samples:
    """Give the sum of stems, in one order, as floats do not add up the same in another."""
    total = np.zeros(shape, np.float32)
    for stem in sorted(stems):
        total += stems[stem]
    return total


def _with_channels(samples: Samples, channels: int) -> Samples:
    """Give mono sound in each of the channels, the mean of more than asked for where one is, or the first ones."""
    if samples.shape[1] == channels:
        return samples
    if samples.shape[1] == 1:
        return np.repeat(samples, channels, axis=1)
    if channels == 1:
        return np.asarray(samples.mean(axis=1, keepdims=True), np.float32)
    return np.pad(samples[:, :channels], ((0, 0), (0, max(0, channels - samples.shape[1]))))
