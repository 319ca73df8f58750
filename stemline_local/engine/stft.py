"""Short-time Fourier transform and its exact inverse, with numpy and scipy.fft alone."""

from __future__ import annotations

from functools import lru_cache

import numpy as np
from numpy.typing import NDArray
from scipy.fft import irfft, next_fast_len, rfft

Floats = NDArray[np.float32]
Spectra = NDArray[np.complex64]

OVERLAP = 4
"""Frames that cover a sample: the window is this many hops long."""
_BLOCK = 256
"""Frames transformed at once: keeps the work in the processor's cache."""


def hop_for(sample_rate: int, hop_at_44100: int = 1024) -> int:
    """Give the hop that lasts as long at `sample_rate` as `hop_at_44100` does at 44.1 kHz, to 2 % or so.

    The length is rounded up to one the FFT is fast at, so bins and frames mean the same at any rate.
    """
    return int(next_fast_len(max(16, round(hop_at_44100 * sample_rate / 44100))))


@lru_cache(maxsize=16)
def window(hop: int) -> Floats:
    """Give a root-Hann window of `OVERLAP` hops whose overlapping squares add up to one."""
    size = OVERLAP * hop
    hann = 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(size) / size)
    return np.sqrt(hann * 2 / OVERLAP).astype(np.float32)


def analyse(samples: Floats, hop: int) -> Spectra:
    """Give the spectra (channels, frames, bins) of samples (n, channels); frame i is centred at (i-2)*hop."""
    size, (length, channels) = OVERLAP * hop, samples.shape
    frames = -(-(length + size) // hop) + 1
    spectra = np.empty((channels, frames, size // 2 + 1), np.complex64)
    for channel in range(channels):
        padded = np.zeros((frames - 1) * hop + size, np.float32)
        padded[size : size + length] = samples[:, channel]
        windows = np.lib.stride_tricks.sliding_window_view(padded, size)[::hop]
        for start in range(0, frames, _BLOCK):
            part = slice(start, start + _BLOCK)
            spectra[channel, part] = rfft(windows[part] * window(hop), axis=1)
    return spectra


def synthesise(spectra: Spectra, length: int, hop: int) -> Floats:
    """Give samples (length, channels) from spectra (channels, frames, bins): the inverse of `analyse`."""
    channels, frames, _ = spectra.shape
    size = OVERLAP * hop
    samples = np.empty((length, channels), np.float32)
    for channel in range(channels):
        hops = np.zeros((frames - 1 + OVERLAP, hop), np.float32)
        for start in range(0, frames, _BLOCK):
            waves = irfft(spectra[channel, start : start + _BLOCK], size, axis=1) * window(hop)
            quarters = waves.reshape(-1, OVERLAP, hop)
            for k in range(OVERLAP):
                hops[start + k : start + k + len(waves)] += quarters[:, k]
        samples[:, channel] = hops.reshape(-1)[size : size + length]
    return samples
