"""A singing voice: a glottal pulse train and breath, shaped by moving formants.

Source and filter as in Fant's acoustic theory of speech production; the formant frequencies are the
usual averages of sung vowels.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import fft
from scipy.signal import butter, lfilter, sosfilt

from stemline.audio import Samples
from stemline_local.songs.notes import hertz
from stemline_local.songs.score import Syllable

_VOWELS = {  # the first four formants in Hz
    "a": (800, 1150, 2900, 3900),
    "e": (400, 1600, 2700, 3300),
    "i": (350, 1700, 2700, 3700),
    "o": (450, 800, 2830, 3500),
    "u": (325, 700, 2530, 3500),
}
_CONSONANTS = {  # seconds, and the band of the noise in Hz
    "s": (0.08, 4500, 10000),
    "h": (0.06, 1000, 5000),
    "t": (0.03, 2500, 8000),
    "l": (0.02, 800, 3000),
    "k": (0.035, 1200, 4000),
    "f": (0.07, 3000, 9000),
}
_HOP, _WINDOW, _TABLE = 256, 1024, 4096
_TAIL = 0.08


@dataclass(frozen=True, slots=True)
class Singer:
    """What makes one voice sound unlike another."""

    sample_rate: int
    tuning_cents: float
    vibrato_hertz: float
    vibrato_semitones: float
    glide_seconds: float
    breath: float
    tract: float
    """Formants are scaled by this: below 1 a large person, above 1 a small one."""
    tilt: float
    """How fast the overtones of the glottis fall; 1 is bright, 2 is dull."""
    consonants: float

    def sing(self, phrase: tuple[Syllable, ...], rng: np.random.Generator) -> Samples:
        """Give one phrase, mono, from its first syllable's start on."""
        origin, last = phrase[0].start, phrase[-1]
        length = int((last.start + last.seconds + _TAIL - origin) * self.sample_rate)
        frames = length // _HOP + 2
        time = origin + np.arange(frames) * _HOP / self.sample_rate
        pitch, loudness, formants = self._curves(phrase, time, rng)
        at = np.arange(length) / _HOP
        hertz_at = np.interp(at, np.arange(frames), pitch)
        table = self._glottis(float(pitch.max()))
        phase = np.cumsum(hertz_at / self.sample_rate) % 1.0
        source = np.interp(phase * _TABLE, np.arange(_TABLE + 1), table)
        breath = rng.standard_normal(length) * (0.6 + 0.4 * np.cos(2 * np.pi * phase))
        source = (source + self.breath * breath) * np.interp(at, np.arange(frames), loudness)
        sound = _filtered(source, self._response(formants))
        self._add_consonants(sound, phrase, rng)
        return sound

    def _curves(
        self, phrase: tuple[Syllable, ...], time: NDArray[np.float64], rng: np.random.Generator
    ) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
        """Give pitch in Hz, loudness and formants (4, frames) over the phrase."""
        midi = np.full(len(time), float(phrase[0].midi))
        loudness = np.zeros(len(time))
        formants = np.tile(np.array(_VOWELS[phrase[0].vowel], float)[:, None], (1, len(time)))
        before = phrase[0].midi - 0.8
        for one in phrase:
            during = (time >= one.start) & (time < one.start + one.seconds + _TAIL)
            since = time[during] - one.start
            swing = np.clip((since - 0.18) / 0.3, 0, 1) * np.sin(2 * np.pi * self.vibrato_hertz * since)
            glide = (before - one.midi) * np.exp(-since / self.glide_seconds)
            midi[during] = one.midi + glide + self.vibrato_semitones * swing
            loudness[during] = np.clip(since / 0.035, 0, 1) * np.clip(
                (one.seconds + 0.05 - since) / 0.07, 0, 1
            )
            formants[:, during] = np.array(_VOWELS[one.vowel])[:, None]
            before = one.midi
        wander = lfilter([0.1], [1, -0.9], rng.standard_normal(len(time))) * 0.12
        pitch = np.array([hertz(value, self.tuning_cents) for value in midi + wander])
        smooth, _ = lfilter([0.15], [1, -0.85], formants, axis=1, zi=formants[:, :1] * 0.85)
        return pitch, loudness, smooth * self.tract

    def _glottis(self, highest_hertz: float) -> NDArray[np.float64]:
        """Give one period of the source, with no overtone above 12 kHz at the phrase's highest note."""
        count = max(4, min(120, int(min(12000, 0.45 * self.sample_rate) / highest_hertz)))
        number = np.arange(1, count + 1)
        phase = np.arange(_TABLE + 1) / _TABLE
        overtones = np.cos(2 * np.pi * np.outer(number, phase) + 0.3 * number[:, None] ** 0.5)
        return np.asarray(number**-self.tilt @ overtones, np.float64)

    def _response(self, formants: NDArray[np.float64]) -> NDArray[np.float32]:
        """Give the gain of the vocal tract, (frames, bins)."""
        bins = np.fft.rfftfreq(_WINDOW, 1 / self.sample_rate).astype(np.float32)
        gain = np.full((formants.shape[1], len(bins)), 0.01, np.float32)
        for centre, width, level in zip(formants, (80, 100, 130, 160), (1.0, 0.6, 0.35, 0.2), strict=True):
            away = (bins[None, :] - centre[:, None].astype(np.float32)) / np.float32(width)
            gain += np.float32(level) / np.sqrt(1 + away * away)
        return gain

    def _add_consonants(self, sound: Samples, phrase: tuple[Syllable, ...], rng: np.random.Generator) -> None:
        """Put a burst of noise before the syllables that begin with one, in place."""
        for one in phrase:
            if one.consonant not in _CONSONANTS:
                continue
            seconds, low, high = _CONSONANTS[one.consonant]
            high = min(high, int(0.45 * self.sample_rate))
            band = butter(2, [low, high], "bandpass", fs=self.sample_rate, output="sos")
            noise = sosfilt(band, rng.standard_normal(int(seconds * self.sample_rate)))
            burst = (self.consonants * noise * np.hanning(len(noise))).astype(np.float32)
            start = max(0, int((one.start - phrase[0].start) * self.sample_rate) - len(burst) // 2)
            target = sound[start : start + len(burst)]
            target += burst[: len(target)]


def draw_singer(rng: np.random.Generator, sample_rate: int, tuning_cents: float) -> Singer:
    """Give a random singer."""
    return Singer(
        sample_rate=sample_rate,
        tuning_cents=tuning_cents,
        vibrato_hertz=rng.uniform(4.6, 6.4),
        vibrato_semitones=float(rng.choice([0.05, 0.2, 0.35, 0.5])),
        glide_seconds=rng.uniform(0.015, 0.06),
        breath=rng.uniform(0.05, 0.5),
        tract=rng.uniform(0.88, 1.18),
        tilt=rng.uniform(0.9, 1.5),
        consonants=rng.uniform(0.2, 0.7),
    )


def _filtered(source: NDArray[np.float64], response: NDArray[np.float32]) -> Samples:
    """Give `source` through a filter that changes every 256 samples: windowed overlap-add."""
    length, frames = len(source), len(response)
    padded = np.zeros(frames * _HOP + _WINDOW, np.float32)
    padded[_WINDOW // 2 : _WINDOW // 2 + length] = source
    # Four windows overlap at every sample and sum to 2.
    window = 0.5 * np.hanning(_WINDOW + 1)[:-1].astype(np.float32)
    pieces = np.lib.stride_tricks.sliding_window_view(padded, _WINDOW)[: frames * _HOP : _HOP] * window
    shaped = fft.irfft(fft.rfft(pieces, axis=1) * response, n=_WINDOW, axis=1)
    out = np.zeros_like(padded)
    for quarter in range(_WINDOW // _HOP):
        part = shaped[:, quarter * _HOP : (quarter + 1) * _HOP].ravel()
        out[quarter * _HOP : quarter * _HOP + len(part)] += part
    return out[_WINDOW // 2 : _WINDOW // 2 + length].copy()
