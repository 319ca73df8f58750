"""Follows the strongest harmonic pitch through a spectrogram: the voice's, or the bass's."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from stemline_local.engine.grid import FINE_HERTZ, FrequencyGrid
from stemline_local.engine.stft import Floats

_SEGMENT = 128
"""Frames followed as one path; all segments are followed side by side, which is what makes it fast."""
_LEAP = 0.6
"""What a jump to a far pitch costs, in units of a strong pitch's salience."""


@dataclass(frozen=True, slots=True)
class PitchRange:
    """What to look for: pitches in hertz, steps in cents, harmonics and their decay, reach of a comb's teeth."""

    lowest: float
    highest: float
    cents: int
    harmonics: int
    decay: float
    tooth_hertz: float
    ceiling_hertz: float
    last_tooth: int


VOICE = PitchRange(95, 750, 20, 10, 0.85, 14, 8000, 30)
BASS = PitchRange(35, 190, 25, 5, 0.7, 12, 1200, 10)


def candidates(wanted: PitchRange) -> Floats:
    """Give the pitches looked for, in hertz."""
    count = int(1200 * np.log2(wanted.highest / wanted.lowest) / wanted.cents) + 1
    return (wanted.lowest * 2 ** (np.arange(count) * wanted.cents / 1200)).astype(np.float32)


def salience(energy: Floats, grid: FrequencyGrid, wanted: PitchRange) -> Floats:
    """Give how strongly each frame holds each candidate pitch (frames, candidates); 1 is a strong one.

    Energy halfway between harmonics counts against a pitch: otherwise every pitch is found an octave down too.
    """
    pitches = candidates(wanted)
    total = np.zeros((len(energy), len(pitches)), np.float32)
    last = int(np.searchsorted(grid.hertz, FINE_HERTZ)) - 2
    for harmonic in range(1, wanted.harmonics + 1):
        for place, sign in ((harmonic, 1.0), (harmonic - 0.5, -0.5)):
            position = pitches * place / grid.spacing
            lower = np.clip(position.astype(np.intp), 0, last)
            above = (position - lower).astype(np.float32)
            weight = sign * wanted.decay ** (harmonic - 1) * (position < last)
            total += (weight * (1 - above)).astype(np.float32) * energy[:, lower]
            total += (weight * above).astype(np.float32) * energy[:, lower + 1]
    np.maximum(total, 0, out=total)
    return total / np.float32(np.percentile(total.max(axis=1), 90) + 1e-9)


def follow(strength: Floats, reach: int = 8) -> NDArray[np.intp]:
    """Give the best path (frames,) through salience (frames, candidates): Viterbi, moves beyond `reach` are dear."""
    frames, count = strength.shape
    segments = -(-frames // _SEGMENT)
    scores = np.zeros((segments * _SEGMENT, count), np.float32)
    scores[:frames] = strength
    scores = scores.reshape(segments, _SEGMENT, count)
    cost = (0.02 * np.abs(np.arange(-reach, reach + 1))).astype(np.float32)
    best = scores[:, 0].copy()
    came_from = np.empty((_SEGMENT, segments, count), np.int16)
    padded = np.full((segments, count + 2 * reach), -1e9, np.float32)
    here = np.arange(count)
    for step in range(1, _SEGMENT):
        padded[:, reach:-reach] = best
        moves = np.lib.stride_tricks.sliding_window_view(padded, 2 * reach + 1, axis=1) - cost
        move = moves.argmax(axis=2)
        near = np.take_along_axis(moves, move[:, :, None], axis=2)[:, :, 0]
        peak = best.argmax(axis=1)[:, None]
        far = np.take_along_axis(best, peak, axis=1) - _LEAP
        came_from[step] = np.where(far > near, peak, here + move - reach)
        best = np.maximum(near, far) + scores[:, step]
    path = np.empty((segments, _SEGMENT), np.intp)
    path[:, -1] = best.argmax(axis=1)
    rows = np.arange(segments)
    for step in range(_SEGMENT - 1, 0, -1):
        path[:, step - 1] = came_from[step, rows, path[:, step]]
    return path.reshape(-1)[:frames]


def comb(energy: Floats, grid: FrequencyGrid, wanted: PitchRange) -> tuple[Floats, Floats]:
    """Give how near each band is to a harmonic of the followed pitch (frames, bands), and its salience (frames, 1)."""
    strength = salience(energy, grid, wanted)
    path = follow(strength)
    confidence = strength[np.arange(len(path)), path][:, None]
    pitch = candidates(wanted)[path][:, None]
    bands = int(np.searchsorted(grid.hertz, wanted.ceiling_hertz))
    hertz = grid.hertz[None, :bands]
    tooth = np.maximum(np.round(hertz / pitch), 1)
    teeth = np.zeros((len(path), len(grid.hertz)), np.float32)
    distance = (hertz - tooth * pitch) / np.float32(wanted.tooth_hertz)
    np.exp(-0.5 * distance**2, out=teeth[:, :bands])
    teeth[:, :bands] *= (tooth <= wanted.last_tooth) * np.minimum(confidence, 1)
    return teeth, np.minimum(confidence, np.float32(1.5))
