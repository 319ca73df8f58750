"""Mono sound at a low rate and its magnitude spectra: what tempo and key are both read from."""

from __future__ import annotations

from collections.abc import Iterator
from math import gcd

import numpy as np
from numpy.typing import NDArray
from scipy import fft

from stemline.audio import Samples, resampled

LONGEST_SECONDS = 600
_FRAMES_AT_ONCE = 512


def mono_at_rate(samples: NDArray[np.floating], sample_rate: int, target_rate: int) -> Samples:
    """Give the mean of the channels at `target_rate`, (n,); of more than ten minutes the middle ten.

    So an hour costs no more memory than ten minutes do, and what is not a number counts as silence.
    """
    most = LONGEST_SECONDS * sample_rate
    start = max(0, (len(samples) - most) // 2)
    excerpt = samples[start : start + most]
    mono = excerpt if excerpt.ndim == 1 else excerpt.mean(axis=1)
    clean = np.nan_to_num(np.asarray(mono, np.float32), nan=0.0, posinf=0.0, neginf=0.0)
    common = gcd(sample_rate, target_rate)
    return resampled(clean, target_rate // common, sample_rate // common)


def spectra(mono: Samples, size: int, hop: int) -> Iterator[NDArray[np.float32]]:
    """Give magnitudes of Hann-windowed frames centred on every `hop` samples, (n, size // 2 + 1)."""
    window = (0.5 - 0.5 * np.cos(2 * np.pi * np.arange(size) / size)).astype(np.float32)
    padded = np.pad(mono, size // 2)
    frames = np.lib.stride_tricks.sliding_window_view(padded, size)[::hop]
    for start in range(0, len(frames), _FRAMES_AT_ONCE):
        block = fft.rfft(frames[start : start + _FRAMES_AT_ONCE] * window, axis=1)
        yield np.abs(block).astype(np.float32)
