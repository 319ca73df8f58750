"""Mixing: places sounds in a stereo track and adds reverberation."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import fft

from stemline.audio import Samples


class StereoTrack:
    """A stereo track of a fixed length that mono sounds are added to."""

    def __init__(self, length: int) -> None:
        """Begin with silence of `length` frames."""
        self.samples: Samples = np.zeros((2, length), np.float32)

    def add(self, sound: Samples, start: int, pan: float = 0.0, gain: float = 1.0) -> None:
        """Add a mono sound at a frame, panned from -1 (left) to 1 (right) at constant power."""
        stop = min(self.samples.shape[1], start + len(sound))
        if start >= stop:
            return
        angle = (pan + 1) * np.pi / 4
        for channel, share in enumerate((np.cos(angle), np.sin(angle))):
            self.samples[channel, start:stop] += np.float32(gain * share * np.sqrt(2)) * sound[: stop - start]

    def echo(self, delay: int, feedback: float) -> None:
        """Add repeats that swap sides, `delay` frames apart."""
        dry = self.samples.copy()
        for repeat in range(1, 5):
            shift = delay * repeat
            if shift >= dry.shape[1]:
                return
            side = dry[::-1] if repeat % 2 else dry
            self.samples[:, shift:] += np.float32(feedback**repeat) * side[:, :-shift]


@dataclass(frozen=True, slots=True)
class Reverberation:
    """A stereo reverberation, as the spectrum of its response."""

    spectrum: NDArray[np.complex64]
    size: int

    def wet(self, track: StereoTrack, share: float) -> Samples:
        """Give (2, frames): the track and `share` of its reverberation."""
        mono = fft.rfft(track.samples.mean(axis=0), self.size)
        echo = fft.irfft(mono * self.spectrum, self.size, axis=1)[:, : track.samples.shape[1]]
        return track.samples + np.float32(share) * echo.astype(np.float32)


def draw_reverberation(rng: np.random.Generator, length: int, sample_rate: int) -> Reverberation:
    """Give a reverberation between a chamber's and a hall's, for tracks of `length` frames."""
    seconds = rng.uniform(0.25, 2.0)
    count = int(seconds * sample_rate)
    time = np.arange(count) / sample_rate
    response = rng.standard_normal((2, count)) * np.exp(-6.9 * time / seconds)
    common = rng.uniform(0, 0.7)
    response[1] = common * response[0] + np.sqrt(1 - common**2) * response[1]
    delay = int(rng.uniform(0.0, 0.03) * sample_rate)
    response = np.pad(response, ((0, 0), (delay, 0)))
    dullness = rng.uniform(0.0, 0.8)
    response[:, 1:] = (1 - dullness) * response[:, 1:] + dullness * response[:, :-1]
    response /= np.sqrt((response**2).sum(axis=1, keepdims=True))
    size = fft.next_fast_len(length + response.shape[1], real=True)
    return Reverberation(fft.rfft(response, size, axis=1).astype(np.complex64), size)


def level(samples: Samples) -> float:
    """Give the root mean square of where a stem (2, frames) sounds, leaving its pauses out."""
    power = samples.mean(axis=0) ** 2 + (0.5 * (samples[0] - samples[1])) ** 2
    sounding = power[power > 1e-3 * power.mean()]
    return float(np.sqrt(sounding.mean())) if len(sounding) else 0.0
