"""Mono sound at a low rate and its magnitude spectra: what tempo and key are both read from."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray
from scipy import fft

from stemline.audio import Resampler, Samples

Spectra = NDArray[np.float32]

LONGEST_SECONDS = 600
"""Of a longer sound the middle so many are analysed: a beginning and an end are less like the rest."""
_SAMPLES_AT_ONCE = 1 << 17


class MonoSpectra:
    """Magnitude spectra of a sound that comes block by block: mono, at a low rate, and of the middle ten minutes."""

    def __init__(self, sample_rate: int, frames: int, target_rate: int, size: int, hop: int) -> None:
        """Begin before the first block of a sound of so many frames; spectra are taken at `target_rate`."""
        self.length = 0
        """Samples at `target_rate` so far."""
        most = LONGEST_SECONDS * sample_rate
        self._skipped = max(0, (frames - most) // 2)
        self._left = most
        self._resampler = Resampler(target_rate, sample_rate)
        self._hop = hop
        self._window = (0.5 - 0.5 * np.cos(2 * np.pi * np.arange(size) / size)).astype(np.float32)
        self._waiting = np.zeros(size // 2, np.float32)

    def add(self, block: NDArray[np.floating]) -> Iterator[Spectra]:
        """Take in samples, (n,) or (n, channels); give the spectra (frames, size // 2 + 1) that they complete.

        Frames are Hann-windowed and centred on every `hop` samples. What is not a number counts as silence.
        """
        excerpt = block[self._skipped : self._skipped + self._left]
        self._skipped -= min(self._skipped, len(block))
        self._left -= len(excerpt)
        mono = excerpt if excerpt.ndim == 1 else excerpt.mean(axis=1)
        clean = np.nan_to_num(np.asarray(mono, np.float32), nan=0.0, posinf=0.0, neginf=0.0)
        yield from self._spectra(self._resampler.add(clean))

    def end(self) -> Iterator[Spectra]:
        """Give the spectra that reach over the end."""
        yield from self._spectra(self._resampler.end())
        yield from self._transformed(np.zeros(len(self._window) // 2, np.float32))

    def _spectra(self, mono: Samples) -> Iterator[Spectra]:
        self.length += len(mono)
        for start in range(0, len(mono), _SAMPLES_AT_ONCE):
            yield from self._transformed(mono[start : start + _SAMPLES_AT_ONCE])

    def _transformed(self, mono: Samples) -> Iterator[Spectra]:
        size = len(self._window)
        waiting = np.concatenate([self._waiting, mono])
        if len(waiting) < size:
            self._waiting = waiting
            return
        frames = np.lib.stride_tricks.sliding_window_view(waiting, size)[:: self._hop]
        self._waiting = waiting[len(frames) * self._hop :].copy()
        yield np.abs(fft.rfft(frames * self._window, axis=1)).astype(np.float32)


def in_blocks(samples: NDArray[np.floating], sample_rate: int) -> Iterator[NDArray[np.floating]]:
    """Give a whole sound second by second."""
    for start in range(0, len(samples), sample_rate):
        yield samples[start : start + sample_rate]
