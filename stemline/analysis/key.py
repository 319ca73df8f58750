"""The key of a piece: which major or minor scale its notes fit best."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from stemline.analysis.spectrum import MonoSpectra, in_blocks

Vector = NDArray[np.float64]

NOTES = ("C", "C#", "D", "D#", "E", "F", "F#", "G", "G#", "A", "A#", "B")
_RATE, _SIZE, _HOP = 11025, 4096, 1024
_LOWEST_HERTZ, _HIGHEST_HERTZ, _BASS_HERTZ, _TREBLE_HERTZ = 55.0, 2000.0, 220.0, 1000.0
# How often each degree of the scale occurs: D. Temperley, Music and Probability (MIT Press, 2007).
_MAJOR = (0.748, 0.060, 0.488, 0.082, 0.670, 0.460, 0.096, 0.715, 0.104, 0.366, 0.057, 0.400)
_MINOR = (0.712, 0.084, 0.474, 0.618, 0.049, 0.460, 0.105, 0.747, 0.404, 0.067, 0.133, 0.330)
_HARMONICS, _HARMONIC_DECAY = 8, 0.6
_BASS_SHARE, _MINOR_BONUS = 0.25, 0.08
_SHORTEST_SECONDS = 2
_LEAST_CONTRAST, _LEAST_STRENGTH = 0.12, 0.4


@dataclass(frozen=True, slots=True)
class KeyEstimate:
    """What was found; noise has no key."""

    name: str | None
    """Spelled with sharps: `C`, `F#`, `Gm`."""
    strength: float
    """How well the notes fit the scale, 0 to 1."""
    alternative: str | None
    """The second best."""


NO_KEY = KeyEstimate(None, 0.0, None)


class KeyEstimator:
    """Gathers what tells the key of a sound while it comes, block by block."""

    def __init__(self, sample_rate: int, frames: int) -> None:
        """Begin before the first block of a sound of so many frames."""
        self._spectra = MonoSpectra(sample_rate, frames, _RATE, _SIZE, _HOP)
        bins = np.fft.rfftfreq(_SIZE, 1 / _RATE)
        self._inside = np.flatnonzero((bins > _LOWEST_HERTZ) & (bins < _HIGHEST_HERTZ))
        self._peaks: list[_Peaks] = []
        self._frames = 0

    def add(self, block: NDArray[np.floating]) -> None:
        """Take in samples of shape (n,) or (n, channels)."""
        for spectra in self._spectra.add(block):
            self._add(spectra)

    def estimate(self) -> KeyEstimate:
        """Give the key at the sound's end; None for silence and for noise."""
        for spectra in self._spectra.end():
            self._add(spectra)
        length = self._spectra.length
        if length < _SHORTEST_SECONDS * _RATE:
            return NO_KEY
        key = _fitted_key(*chroma_vectors(_joined(self._peaks)))
        # A short piece of noise fits some scale by chance a little better than a long one.
        is_clear = key.strength >= _LEAST_STRENGTH + 0.4 * _RATE / length
        return key if is_clear else KeyEstimate(None, key.strength, None)

    def _add(self, spectra: NDArray[np.float32]) -> None:
        self._peaks.append(_peaks(spectra, self._inside, self._frames))
        self._frames += len(spectra)


def estimate_key(samples: NDArray[np.floating], sample_rate: int) -> KeyEstimate:
    """Give the key of sound of shape (frames,) or (frames, channels); None for silence and for noise."""
    estimator = KeyEstimator(sample_rate, len(samples))
    for block in in_blocks(samples, sample_rate):
        estimator.add(block)
    return estimator.estimate()


def _fitted_key(chroma: Vector, bass: Vector) -> KeyEstimate:
    """Give the key whose scale correlates best with the notes, the bass notes favouring the tonic."""
    if chroma.sum() == 0 or chroma.std() / chroma.mean() < _LEAST_CONTRAST:
        return NO_KEY
    notes, low = _centred(chroma), _centred(bass)
    fits: list[tuple[float, float, str]] = []
    for mode, profile, bonus in (("", _MAJOR, 0.0), ("m", _MINOR, _MINOR_BONUS)):
        scale = _centred(_with_harmonics(np.array(profile)))
        for tonic in range(12):
            match = float(np.roll(scale, tonic) @ notes)
            fits.append((match + bonus + _BASS_SHARE * float(low[tonic]), match, NOTES[tonic] + mode))
    fits.sort(reverse=True)
    strength = round(float(np.clip(fits[0][1], 0.0, 1.0)), 3)
    return KeyEstimate(fits[0][2], strength, fits[1][2])


def chroma_vectors(peaks: _Peaks) -> tuple[Vector, Vector]:
    """Give how much of each of the twelve notes sounds over the piece, and in its bass; C first."""
    if not peaks.weight.any():
        return np.zeros(12), np.zeros(12)
    # Bands tune to each other, not to 440 Hz: take the mean deviation out, an angle on the semitone circle.
    pitch = peaks.pitch - np.angle(np.sum(peaks.weight * np.exp(2j * np.pi * peaks.pitch))) / (2 * np.pi)
    nearest = np.round(pitch)
    weight = peaks.weight * np.cos(np.pi * (pitch - nearest)) ** 2
    weight = np.where(pitch > _midi(_TREBLE_HERTZ), 0.5 * weight, weight)
    note = nearest.astype(int) % 12
    frames = np.zeros((int(peaks.frame.max()) + 1, 12))
    np.add.at(frames, (peaks.frame, note), weight)
    norms = np.linalg.norm(frames, axis=1, keepdims=True)
    is_low = pitch < _midi(_BASS_HERTZ)
    bass = np.bincount(note[is_low], weight[is_low], 12)
    return (frames / (norms + 1e-3 * norms.max())).mean(axis=0), bass.astype(np.float64)


@dataclass(frozen=True, slots=True)
class _Peaks:
    """Spectral peaks of some frames, as flat arrays."""

    frame: NDArray[np.int64]
    pitch: NDArray[np.float64]
    """In MIDI numbers, with fractions."""
    weight: NDArray[np.float64]


def _joined(found: list[_Peaks]) -> _Peaks:
    """Give the peaks of all blocks."""
    return _Peaks(
        np.concatenate([peaks.frame for peaks in found]),
        np.concatenate([peaks.pitch for peaks in found]),
        np.concatenate([peaks.weight for peaks in found]),
    )


def _peaks(magnitudes: NDArray[np.float32], inside: NDArray[np.int64], first_frame: int) -> _Peaks:
    """Give the local maxima of compressed spectra within some bins, their frequencies by parabolic interpolation."""
    level = np.sqrt(magnitudes)
    before, here, after = level[:, inside - 1], level[:, inside], level[:, inside + 1]
    frame, column = np.nonzero((here > before) & (here >= after))
    left, middle, right = before[frame, column], here[frame, column], after[frame, column]
    curve = np.minimum(left - 2 * middle + right, -1e-9)
    shift = np.clip(0.5 * (left - right) / curve, -0.5, 0.5)
    pitch = _midi((inside[column] + shift) * _RATE / _SIZE)
    return _Peaks(frame + first_frame, pitch, middle.astype(np.float64))


def _midi(hertz: NDArray[np.floating] | float) -> Vector:
    return np.asarray(69 + 12 * np.log2(np.asarray(hertz, np.float64) / 440))


def _with_harmonics(profile: Vector) -> Vector:
    """Give a scale as it shows in a spectrum: every note brings its overtones along."""
    total = np.zeros(12)
    for number in range(1, _HARMONICS + 1):
        total += _HARMONIC_DECAY ** (number - 1) * np.roll(profile, round(12 * np.log2(number)) % 12)
    return total


def _centred(vector: Vector) -> Vector:
    """Give the vector with mean 0 and length 1."""
    away = vector - vector.mean()
    return np.asarray(away / (np.linalg.norm(away) + 1e-12))
