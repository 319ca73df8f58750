"""Short-time Fourier transform and its exact inverse, with numpy and scipy.fft alone."""

from __future__ import annotations

from collections.abc import Iterator
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray
from scipy.fft import irfft, next_fast_len, rfft

Floats = NDArray[np.float32]
Spectra = NDArray[np.complex64]

OVERLAP = 4
"""Frames that cover a sample: the window is this many hops long."""
_BLOCK_SAMPLES = 1 << 18
"""Hops transformed at once have about so many samples: keeps the work in the processor's cache."""


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


def block_frames(hop: int) -> int:
    """Give how many frames are transformed at once."""
    return max(1, _BLOCK_SAMPLES // hop)


def frames_of(length: int, hop: int) -> int:
    """Give how many frames `analyse` makes of so many samples."""
    return -(-(length + OVERLAP * hop) // hop) + 1


def analyse_blocks(samples: Floats, hop: int) -> Iterator[Spectra]:
    """Give the spectra of samples (n, channels) in blocks (channels, frames, bins); frame i is centred at (i-2)*hop."""
    size, (length, channels) = OVERLAP * hop, samples.shape
    frames, step = frames_of(length, hop), block_frames(hop)
    for start in range(0, frames, step):
        count = min(step, frames - start)
        begin, end = start * hop - size, (start + count - 1) * hop
        part = samples[max(begin, 0) : max(end, 0)]
        padded = np.zeros((channels, end - begin), np.float32)
        before = max(-begin, 0)
        padded[:, before : before + len(part)] = part.T
        windows = np.lib.stride_tricks.sliding_window_view(padded, size, axis=1)[:, ::hop]
        yield rfft(windows * window(hop), axis=2)


def analyse(samples: Floats, hop: int) -> Spectra:
    """Give the spectra (channels, frames, bins) of samples (n, channels), all at once."""
    return np.concatenate(list(analyse_blocks(samples, hop)), axis=1)


class Synthesis:
    """The inverse of `analyse_blocks`: samples (n, channels), as many as were analysed, from spectra block by block."""

    def __init__(self, length: int, hop: int) -> None:
        """Begin before the first block; `length` is how many samples were analysed."""
        self._left, self._hop = length, hop
        self._padding = OVERLAP * hop
        self._unfinished: Floats | None = None
        """The sums (channels, OVERLAP - 1, hop) that the next frames reach into."""

    def add(self, spectra: Spectra) -> Floats:
        """Take in spectra (channels, frames, bins); give the samples that they complete."""
        channels, frames, _ = spectra.shape
        waves = irfft(spectra, OVERLAP * self._hop, axis=2) * window(self._hop)
        quarters = waves.reshape(channels, frames, OVERLAP, self._hop)
        hops = np.zeros((channels, frames + OVERLAP - 1, self._hop), np.float32)
        if self._unfinished is not None:
            hops[:, : OVERLAP - 1] = self._unfinished
        for k in range(OVERLAP):
            hops[:, k : k + frames] += quarters[:, :, k]
        self._unfinished = hops[:, frames:].copy()
        return self._trimmed(hops[:, :frames].reshape(channels, -1))

    def _trimmed(self, samples: Floats) -> Floats:
        """Give what is neither the padding before nor the one behind, as (n, channels)."""
        skipped = min(self._padding, samples.shape[1])
        self._padding -= skipped
        inside = samples[:, skipped : skipped + self._left]
        self._left -= inside.shape[1]
        return inside.T


def synthesise(spectra: Spectra, length: int, hop: int) -> Floats:
    """Give samples (length, channels) from spectra (channels, frames, bins), all at once: the inverse of `analyse`."""
    synthesis = Synthesis(length, hop)
    step = block_frames(hop)
    starts = range(0, spectra.shape[1], step)
    return np.concatenate([synthesis.add(spectra[:, start : start + step]) for start in starts])
