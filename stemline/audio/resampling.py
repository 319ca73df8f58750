"""Samples, and samples at another rate."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Samples = NDArray[np.float32]
"""float32, (frames, channels), full scale at -1..1."""


def resampled(samples: NDArray[np.floating], up: int, down: int) -> Samples:
    """Give samples, (frames,) or (frames, channels), at `up / down` times their rate, by a polyphase filter."""
    # Imported here: scipy.signal takes over a second to load, and most commands never resample.
    from scipy.signal import resample_poly  # noqa: PLC0415

    return np.asarray(resample_poly(samples, up, down, axis=0), np.float32)
