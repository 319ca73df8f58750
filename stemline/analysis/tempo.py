"""The tempo of a piece: how often its onsets come round."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import fft

from stemline.analysis.spectrum import MonoSpectra, in_blocks

Series = NDArray[np.float64]

_RATE, _SIZE, _HOP, _BANDS = 22050, 1024, 256, 40
_FRAMES_PER_SECOND = _RATE / _HOP
_SLOWEST, _FASTEST = 55.0, 200.0
_BEATS = (0.5, 1, 2, 4)
_BEAT_WEIGHTS = (0.3, 1.0, 0.7, 1.0)
_USUAL_BPM, _OCTAVES_AROUND = 128.0, 0.8
_SHORTEST_SECONDS = 4
_SILENCE = 1e-3
_LEAST_FLUX = 0.004
_LEAST_STRENGTH = 0.12


@dataclass(frozen=True, slots=True)
class TempoEstimate:
    """What was found; without a beat there is no tempo."""

    bpm: float | None
    strength: float
    """How regular the onsets are at this tempo, 0 to 1."""
    alternative: float | None
    """Half or double the tempo, whichever is the likelier mistake."""


NO_TEMPO = TempoEstimate(None, 0.0, None)


class TempoEstimator:
    """Gathers what tells the tempo of a sound while it comes, block by block.

    Onset strength over mel bands, its autocorrelation at half a beat, one, two and four under a mild
    preference for 128 bpm, then a Fourier comb over the whole piece for the exact figure.
    """

    def __init__(self, sample_rate: int, frames: int) -> None:
        """Begin before the first block of a sound of so many frames."""
        self._spectra = MonoSpectra(sample_rate, frames, _RATE, _SIZE, _HOP)
        self._filters = _mel_filters()
        self._bands: list[NDArray[np.float32]] = []

    def add(self, block: NDArray[np.floating]) -> None:
        """Take in samples of shape (n,) or (n, channels)."""
        self._bands.extend(spectra @ self._filters for spectra in self._spectra.add(block))

    def estimate(self) -> TempoEstimate:
        """Give the tempo at the sound's end; None for silence and for noise."""
        self._bands.extend(spectra @ self._filters for spectra in self._spectra.end())
        length = self._spectra.length
        if length < _SHORTEST_SECONDS * _RATE:
            return NO_TEMPO
        onsets = onset_strength(np.concatenate(self._bands))
        if onsets.mean() < _LEAST_FLUX:
            return NO_TEMPO
        regularity = _autocorrelation(onsets)
        candidates = np.geomspace(_SLOWEST, _FASTEST, 1200)
        score = _score(regularity, candidates)
        coarse = float(candidates[int(np.argmax(score))])
        strength = float(np.clip(_at_beats(regularity, np.array([coarse]))[0] / sum(_BEAT_WEIGHTS), 0.0, 1.0))
        # Chance regularity shrinks with the square root of the length.
        if strength < _LEAST_STRENGTH * (30 * _RATE / length) ** 0.5:
            return TempoEstimate(None, round(strength, 3), None)
        bpm = _refined(onsets, coarse)
        return TempoEstimate(round(bpm, 2), round(strength, 3), _alternative(regularity, bpm))


def estimate_tempo(samples: NDArray[np.floating], sample_rate: int) -> TempoEstimate:
    """Give the tempo of sound of shape (frames,) or (frames, channels); None for silence and for noise."""
    estimator = TempoEstimator(sample_rate, len(samples))
    for block in in_blocks(samples, sample_rate):
        estimator.add(block)
    return estimator.estimate()


def onset_strength(bands: NDArray[np.float32]) -> Series:
    """Give how much louder the bands (frames, bands) get, frame by frame, with the slow drift taken out."""
    loud = float(np.percentile(bands, 99.5))
    level = np.log1p(200 * bands / max(loud, _SILENCE))
    rise = np.maximum(0, level[2:] - level[:-2])
    flux = np.asarray(rise.mean(axis=1) + 0.7 * rise[:, : _BANDS // 5].mean(axis=1), np.float64)
    width = int(0.5 * _FRAMES_PER_SECOND) | 1
    drift = np.convolve(flux, np.ones(width) / width, "same")
    return np.asarray(np.maximum(0, flux - drift), np.float64)


def _mel_filters() -> NDArray[np.float32]:
    """Give triangles on the mel scale from 30 Hz up, (bins, bands)."""
    bins = np.fft.rfftfreq(_SIZE, 1 / _RATE)
    lowest, highest = 2595 * np.log10(1 + np.array([30.0, _RATE / 2]) / 700)
    edges = 700 * (10 ** (np.linspace(lowest, highest, _BANDS + 2) / 2595) - 1)
    low, centre, high = edges[:-2], edges[1:-1], edges[2:]
    rising = (bins[:, None] - low) / (centre - low)
    falling = (high - bins[:, None]) / (high - centre)
    return np.clip(np.minimum(rising, falling), 0, None).astype(np.float32)


def _autocorrelation(onsets: Series) -> Series:
    """Give the unbiased autocorrelation, 1 at lag 0."""
    count = len(onsets)
    spectrum = fft.rfft(onsets - onsets.mean(), fft.next_fast_len(2 * count, real=True))
    products = fft.irfft(np.abs(spectrum) ** 2, fft.next_fast_len(2 * count, real=True))[:count]
    products /= count - np.arange(count)
    return np.asarray(products / (products[0] + 1e-12), np.float64)


def _at_beats(regularity: Series, bpm: Series) -> Series:
    """Give the weighted autocorrelation at some multiples of each tempo's beat; bars have four."""
    lag = 60 * _FRAMES_PER_SECOND / bpm
    # At lags near the whole length too few products are left to mean anything.
    lags = np.arange(int(0.7 * len(regularity)))
    total = np.zeros(len(bpm))
    for beats, weight in zip(_BEATS, _BEAT_WEIGHTS, strict=True):
        total += weight * np.interp(beats * lag, lags, regularity[: len(lags)], right=0.0)
    return total


def _score(regularity: Series, bpm: Series) -> Series:
    usual = np.exp(-0.5 * (np.log2(bpm / _USUAL_BPM) / _OCTAVES_AROUND) ** 2)
    return np.maximum(_at_beats(regularity, bpm), 0) * usual


def _refined(onsets: Series, bpm: float) -> float:
    """Give the tempo within 3 % whose pulse, and twice that, fits the whole piece best."""
    time = np.arange(len(onsets)) / _FRAMES_PER_SECOND
    near = bpm * np.linspace(0.97, 1.03, 301)
    fit = np.empty(len(near))
    for i, rate in enumerate(near):
        pulse = np.exp(-2j * np.pi * rate / 60 * time)
        fit[i] = abs(pulse @ onsets) + 0.5 * abs((pulse * pulse) @ onsets)
    return float(near[int(np.argmax(fit))])


def _alternative(regularity: Series, bpm: float) -> float:
    """Give the better of half and double."""
    halved, doubled = _score(regularity, np.array([bpm / 2, bpm * 2]))
    return round(bpm / 2 if halved >= doubled else bpm * 2, 2)
