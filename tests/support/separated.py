"""A whole sound through an engine, which takes and gives it piece by piece."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from stemline_local.engine.interface import Mixture, SeparationEngine


def mixture_of(samples: np.ndarray, rate: int, cuts: Iterable[int] = ()) -> Mixture:
    """Give samples (n, channels) as they would come, in blocks that begin where `cuts` are."""
    return Mixture(np.split(samples, sorted(cuts)), *samples.shape, sample_rate=rate)


def separated_whole(
    engine: SeparationEngine, mixture: Mixture, stems: tuple[str, ...], quality: str
) -> dict[str, np.ndarray]:
    """Give the stems whole."""
    pieces = engine.separate(mixture, stems, quality)
    nothing = np.zeros((len(stems), 0, mixture.channels), np.float32)
    return dict(zip(stems, np.concatenate([nothing, *pieces], axis=1), strict=True))
