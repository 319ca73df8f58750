"""Pitched instruments by addition of decaying partials, drawn at random within a family."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.signal import butter, sosfilt

from stemline.audio import Samples

_BLOCK = 256


@dataclass(frozen=True, slots=True)
class Timbre:
    """How one instrument sounds. Decays are per second, times in seconds."""

    partials: int = 16
    slope: float = 1.3
    """Partial k is k to the power of minus this."""
    even: float = 1.0
    """The level of the even partials: 0 sounds hollow."""
    pluck: float = 0.0
    """Where a string is plucked, 0 to 0.5 of its length; 0: not a string."""
    decay: float = 1.0
    decay_slope: float = 0.4
    """How much faster each further partial dies away."""
    inharmonicity: float = 0.0
    attack: float = 0.003
    release: float = 0.1
    detune_cents: float = 0.0
    """Three voices this far apart; 0: one voice."""
    drive: float = 0.0
    """Soft clipping; 0: none."""
    cutoff_hertz: float = 12000.0
    knock: float = 0.0
    """The noise of hammer, pick or finger."""
    tremolo_hertz: float = 0.0
    colour: tuple[float, ...] = (1.0,)
    """The body's resonances: gains over octaves from 55 Hz."""

    def note(self, hertz: float, seconds: float, sample_rate: int, rng: np.random.Generator) -> Samples:
        """Give one note, mono, at about full scale."""
        length = max(1, int((seconds + self.release) * sample_rate))
        sound = self._strings(hertz, length, sample_rate, rng)
        time = np.arange(length, dtype=np.float32) / sample_rate
        if self.knock:
            burst = min(length, int(0.03 * sample_rate))
            noise = rng.standard_normal(burst).astype(np.float32) * np.exp(-time[:burst] * 180)
            sound[:burst] += self.knock * noise
        if self.tremolo_hertz:
            sound *= 1 - 0.35 * (1 + np.sin(2 * np.pi * self.tremolo_hertz * time)) / 2
        if self.drive:
            sound = np.tanh(self.drive * sound) / np.tanh(np.float32(self.drive))
            sound = sosfilt(butter(3, self.cutoff_hertz, fs=sample_rate, output="sos"), sound)
        sound *= np.minimum(1, (time + 1 / sample_rate) / self.attack)
        fade = min(length, max(2, int(self.release * sample_rate)))
        sound[-fade:] *= np.linspace(1, 0, fade, dtype=np.float32) ** 2
        return sound.astype(np.float32)

    def _strings(self, hertz: float, length: int, sample_rate: int, rng: np.random.Generator) -> Samples:
        """Give the sum of the partials of one or three voices."""
        number = np.arange(1, self.partials + 1)
        level = number**-self.slope * np.where(number % 2, 1.0, self.even)
        if self.pluck:
            level = level * np.abs(np.sin(np.pi * number * self.pluck))
        decay = self.decay + self.decay_slope * (number**1.2 - 1)
        frequency = hertz * number * np.sqrt(1 + self.inharmonicity * number**2)
        octave = np.log2(np.maximum(frequency, 55) / 55)
        level = level * np.interp(octave, np.arange(len(self.colour)), self.colour)
        level = level / np.sqrt(1 + (frequency / self.cutoff_hertz) ** 4) * (frequency < 0.45 * sample_rate)
        cents = np.array([-1.0, 0.0, 1.0]) * self.detune_cents if self.detune_cents else np.zeros(1)
        voices = (2 ** (cents / 1200))[:, None]
        phase = rng.uniform(0, 2 * np.pi, (len(cents), self.partials)) if len(cents) > 1 else -np.pi / 2
        weight = np.broadcast_to(level, (len(cents), self.partials)) * np.exp(1j * phase)
        total = max(1e-9, float(np.abs(level).sum()) * len(cents) ** 0.5)
        rate = (2j * np.pi * voices * frequency - decay) / sample_rate
        return damped(rate.ravel(), weight.ravel() / total, length)


def damped(rate: NDArray[np.complex128], weight: NDArray[np.complex128], length: int) -> Samples:
    """Give the sum of damped sines as float32, (length,): the real part of weight * exp(rate * n).

    A geometric series factors into blocks, so that the whole sum is one matrix product.
    """
    starts = np.arange(-(-length // _BLOCK)) * _BLOCK
    outer = weight * np.exp(np.outer(starts, rate))
    inner = np.exp(np.outer(rate, np.arange(_BLOCK)))
    product = outer.astype(np.complex64) @ inner.astype(np.complex64)
    return np.ascontiguousarray(product.real.ravel()[:length], np.float32)


def draw_colour(rng: np.random.Generator) -> tuple[float, ...]:
    """Give a random body: gains of about +-4 dB over nine octaves."""
    return tuple(float(gain) for gain in 10 ** (rng.normal(0, 4, 9) / 20))


def draw_bass(rng: np.random.Generator) -> Timbre:
    """Give a finger, pick, synthesiser or sub bass."""
    kind = rng.choice(["finger", "pick", "synth", "sub"], p=[0.4, 0.2, 0.25, 0.15])
    colour = draw_colour(rng)
    if kind == "finger":
        return Timbre(
            10, rng.uniform(1.1, 1.9), decay=0.6, decay_slope=0.5, attack=0.006, release=0.05, colour=colour
        )
    if kind == "pick":
        return Timbre(
            20,
            rng.uniform(0.6, 1.0),
            pluck=rng.uniform(0.1, 0.3),
            decay=0.9,
            release=0.04,
            drive=float(rng.choice([0.0, 3.0])),
            knock=0.05,
            colour=colour,
        )
    if kind == "synth":
        return Timbre(
            24,
            1.0,
            even=float(rng.choice([0.05, 1.0])),
            decay=0.3,
            decay_slope=rng.uniform(0.05, 0.6),
            release=0.03,
            detune_cents=float(rng.choice([0.0, 8.0])),
            cutoff_hertz=rng.uniform(300, 1500),
        )
    return Timbre(3, 2.5, decay=0.5, attack=0.01, release=0.05, drive=float(rng.choice([0.0, 1.5])))


def draw_piano(rng: np.random.Generator) -> Timbre:
    """Give a piano, grand to upright, or an electric one."""
    colour = draw_colour(rng)
    if rng.random() < 0.65:
        return Timbre(
            16,
            rng.uniform(1.0, 1.6),
            decay=rng.uniform(0.7, 1.3),
            decay_slope=rng.uniform(0.3, 0.7),
            inharmonicity=rng.uniform(0.0002, 0.0006),
            detune_cents=float(rng.choice([0.0, 2.0, 5.0])),
            knock=rng.uniform(0, 0.06),
            release=0.12,
            colour=colour,
        )
    return Timbre(
        12,
        rng.uniform(1.6, 2.2),
        decay=0.9,
        decay_slope=rng.uniform(0.6, 1.4),
        inharmonicity=rng.uniform(0, 0.003),
        tremolo_hertz=float(rng.choice([0.0, 5.5])),
        drive=float(rng.choice([0.0, 1.5])),
        release=0.1,
        colour=colour,
    )


def draw_guitar(rng: np.random.Generator) -> Timbre:
    """Give an acoustic, clean electric or distorted guitar."""
    kind = rng.choice(["acoustic", "clean", "distorted"], p=[0.45, 0.3, 0.25])
    pluck, colour = float(rng.uniform(0.08, 0.35)), draw_colour(rng)
    if kind == "acoustic":
        return Timbre(
            26,
            rng.uniform(0.7, 1.1),
            pluck=pluck,
            decay=1.5,
            decay_slope=rng.uniform(0.2, 0.5),
            inharmonicity=0.00005,
            knock=rng.uniform(0.02, 0.1),
            colour=colour,
        )
    if kind == "clean":
        return Timbre(
            18,
            rng.uniform(0.9, 1.4),
            pluck=pluck,
            decay=1.0,
            decay_slope=0.25,
            detune_cents=float(rng.choice([0.0, 6.0])),
            cutoff_hertz=4500,
            colour=colour,
        )
    return Timbre(
        22,
        rng.uniform(0.6, 0.9),
        pluck=pluck,
        decay=0.5,
        decay_slope=0.05,
        drive=rng.uniform(4, 15),
        cutoff_hertz=rng.uniform(2500, 5000),
        colour=colour,
    )


def draw_other(rng: np.random.Generator) -> Timbre:
    """Give strings, a pad, an organ, brass, a bell or a plucked synthesiser."""
    kind = rng.choice(["pad", "strings", "organ", "brass", "bell", "synth"])
    colour = draw_colour(rng)
    if kind in {"pad", "strings"}:
        return Timbre(
            10 if kind == "pad" else 20,
            rng.uniform(1.4, 2.0) if kind == "pad" else rng.uniform(0.8, 1.2),
            decay=0,
            decay_slope=0,
            attack=rng.uniform(0.08, 0.35),
            release=rng.uniform(0.2, 0.5),
            detune_cents=rng.uniform(4, 14),
            colour=colour,
        )
    if kind == "organ":
        return Timbre(
            9, rng.uniform(0.3, 0.9), decay=0, decay_slope=0, attack=0.01, release=0.05, tremolo_hertz=6.5
        )
    if kind == "brass":
        return Timbre(
            20, 0.9, decay=0.2, decay_slope=0.02, attack=0.05, release=0.08, detune_cents=4, cutoff_hertz=3500
        )
    if kind == "bell":
        return Timbre(
            8, 0.9, decay=1.2, decay_slope=0.8, inharmonicity=rng.uniform(0.02, 0.08), colour=colour
        )
    return Timbre(
        24,
        1.0,
        even=float(rng.choice([0.05, 1.0])),
        decay=1.5,
        decay_slope=rng.uniform(0.2, 1.2),
        detune_cents=float(rng.choice([0.0, 10.0])),
    )
