"""Drum kits, from acoustic to electronic, drawn at random piece by piece."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.signal import butter, sosfilt

from stemline.audio import Samples

Kit = dict[str, Samples]
PIECES = ("kick", "snare", "hat", "open_hat", "ride", "shaker", "crash", "high_tom", "low_tom")


class DrumKitBuilder:
    """Builds the sounds of one drum kit."""

    def __init__(self, rng: np.random.Generator, sample_rate: int) -> None:
        """Choose between an acoustic and an electronic kit."""
        self.rng, self.sample_rate = rng, sample_rate
        self.is_electronic = rng.random() < 0.35

    def kit(self) -> Kit:
        """Give every piece of PIECES as mono samples."""
        low = float(self.rng.uniform(75, 130))
        kit = {
            "kick": self._kick(),
            "snare": self._snare(),
            **self._cymbals(),
            "high_tom": self._tom(low * 1.45),
            "low_tom": self._tom(low),
        }
        return {piece: np.asarray(kit[piece], np.float32) for piece in PIECES}

    def _time(self, seconds: float) -> NDArray[np.float64]:
        return np.arange(int(seconds * self.sample_rate)) / self.sample_rate

    def _noise(self, low: float, high: float, seconds: float) -> NDArray[np.float64]:
        """Give noise between two frequencies with a level near 1."""
        high = min(high, 0.45 * self.sample_rate)
        band = butter(2, [low, high], "bandpass", fs=self.sample_rate, output="sos")
        white = self.rng.standard_normal(int(seconds * self.sample_rate))
        return np.asarray(sosfilt(band, white) * np.sqrt(self.sample_rate / 2 / (high - low)), np.float64)

    def _swept(self, hertz: float, sweep: float, speed: float, seconds: float) -> NDArray[np.float64]:
        """Give a sine that falls to `hertz` from `sweep` above."""
        time = self._time(seconds)
        phase = np.cumsum(hertz + sweep * np.exp(-time * speed)) / self.sample_rate
        return np.asarray(np.sin(2 * np.pi * phase), np.float64)

    def _kick(self) -> NDArray[np.float64]:
        seconds = self.rng.uniform(0.4, 0.7) if self.is_electronic else self.rng.uniform(0.2, 0.35)
        time = self._time(seconds)
        body = self._swept(
            self.rng.uniform(42, 65), self.rng.uniform(60, 200), self.rng.uniform(20, 50), seconds
        )
        click = self._noise(1500, 7000, seconds) * np.exp(-time * 250)
        body = body * np.exp(-time * 3.5 / seconds) * np.minimum(1, (seconds - time) / 0.02)
        drive = self.rng.uniform(0.5, 2.5)
        driven = np.tanh(drive * (body + self.rng.uniform(0.03, 0.35) * click))
        return np.asarray(driven / np.tanh(drive), np.float64)

    def _snare(self) -> NDArray[np.float64]:
        time = self._time(0.4)
        tone = self._swept(self.rng.uniform(150, 250), self.rng.uniform(0, 80), 40, 0.4)
        wires = self._noise(self.rng.uniform(600, 2000), self.rng.uniform(7000, 13000), 0.4)
        wires = wires * np.exp(-time * self.rng.uniform(11, 28))
        sound = self.rng.uniform(0.2, 0.7) * tone * np.exp(-time * 28) + self.rng.uniform(0.25, 0.5) * wires
        if self.is_electronic and self.rng.random() < 0.6:  # a clap: three bursts and a tail
            bursts = sum(np.where(time > t, np.exp(-(time - t) * 160), 0.0) for t in (0.0, 0.011, 0.022))
            sound = 0.3 * sound + 0.4 * self._noise(700, 4500, 0.4) * (bursts + 0.4 * np.exp(-time * 14))
        return sound * np.minimum(1, (0.4 - time) / 0.05)

    def _cymbals(self) -> dict[str, NDArray[np.float64]]:
        """Give what is hissing or ringing above some 5 kHz."""
        low = self.rng.uniform(3500, 8000)
        closed = self.rng.uniform(40, 100)
        return {
            "hat": self._metal(low, 0.12, closed),
            "open_hat": self._metal(low, 0.5, self.rng.uniform(6, 12)),
            "ride": 0.7 * self._metal(low * 0.7, 1.0, self.rng.uniform(4, 8)),
            "crash": self._metal(low * 0.6, 1.8, self.rng.uniform(2, 3.5)),
            "shaker": self._shaker(),
        }

    def _metal(self, low: float, seconds: float, decay: float) -> NDArray[np.float64]:
        """Give noise, or six clashing square waves as in the old drum machines, under one decay."""
        time = self._time(seconds)
        sound = 0.3 * self._noise(low, 16000, seconds)
        if self.is_electronic:
            tones = self.rng.uniform(300, 900, 6)
            clash = np.sign(np.sin(2 * np.pi * np.outer(tones, time))).sum(0)
            high = butter(3, low, "highpass", fs=self.sample_rate, output="sos")
            sound = 0.4 * sound + 0.15 * np.asarray(sosfilt(high, clash))
        return sound * np.exp(-time * decay) * np.minimum(1, (seconds - time) / (0.2 * seconds))

    def _shaker(self) -> NDArray[np.float64]:
        time = self._time(0.12)
        return 0.25 * self._noise(4000, 12000, 0.12) * np.minimum(1, time / 0.02) * np.exp(-time * 35)

    def _tom(self, hertz: float) -> NDArray[np.float64]:
        time = self._time(0.45)
        stick = 0.1 * self._noise(1000, 6000, 0.45) * np.exp(-time * 200)
        body = self._swept(hertz, 0.4 * hertz, 20, 0.45) * np.exp(-time * self.rng.uniform(6, 11))
        return (body + stick) * np.minimum(1, (0.45 - time) / 0.05)
