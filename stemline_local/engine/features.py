"""The features the engine judges by: maps over time and frequency that tell a voice, a drum, a bass and the rest apart.

Every map has the shape (frames, bands). Levels are natural logarithms relative to the chunk's own loudness, so a
quiet file and a loud one look the same. Ideas: harmonic/percussive medians (Fitzgerald 2010), repetition by similar
frames (Rafii and Pardo 2012), stereo centre (Avendano 2003), harmonic combs along a followed pitch.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import uniform_filter, uniform_filter1d

from stemline_local.engine.grid import FrequencyGrid, grid_for
from stemline_local.engine.median import median_filter, median_of_rows
from stemline_local.engine.pitch_tracking import BASS, VOICE, comb
from stemline_local.engine.stft import Floats, Spectra, analyse_blocks, hop_for

NAMES = (
    "pitch", "centre", "centre_wide", "balance", "harmonic", "sustain", "repeat", "attack", "decay",
    "peak", "below_loudest", "above_usual", "flux", "low_flux", "voice_comb", "voice", "bass_comb", "bass",
)  # fmt: skip
_FLOOR = np.float32(1e-5)
_NEIGHBOURS = 9
_NOT_SIMILAR_WITHIN = 20
"""Frames this near (0.5 s) are alike because the same note sounds on, not because the music repeats."""

Map = tuple[str, Floats]


@dataclass(frozen=True, slots=True, eq=False)
class StereoPower:
    """Power (frames, bands) of both channels together, what they share, and how they differ."""

    power: Floats
    shared: Floats
    difference: Floats


@dataclass(frozen=True, slots=True, eq=False)
class ChunkFeatures:
    """The features of a chunk: maps (len(NAMES), frames, bands), and what they were made of."""

    hop: int
    grid: FrequencyGrid
    magnitude: Floats
    similar: NDArray[np.intp]
    """The nine frames most like each frame (frames, 9)."""
    maps: Floats


def level(values: Floats) -> Floats:
    """Give the logarithm of magnitudes; silence is a finite floor."""
    logarithm: Floats = np.log(values + _FLOOR)
    return logarithm


def extract_features(samples: Floats, sample_rate: int) -> ChunkFeatures:
    """Give the features of one chunk (n, channels) of one or two channels."""
    hop = hop_for(sample_rate)
    grid = grid_for(hop, sample_rate)
    stereo = stereo_of(analyse_blocks(samples, hop), grid)
    magnitude = np.sqrt(stereo.power)
    magnitude /= np.sqrt(np.mean(stereo.power, dtype=np.float64) + 1e-20).astype(np.float32)
    similar = similar_frames(magnitude)
    maps = np.empty((len(NAMES), *magnitude.shape), np.float32)
    place = {name: number for number, name in enumerate(NAMES)}
    for name, values in feature_maps(stereo, magnitude, similar, grid):
        maps[place[name]] = values
    return ChunkFeatures(hop, grid, magnitude, similar, maps)


def stereo_of(blocks: Iterable[Spectra], grid: FrequencyGrid) -> StereoPower:
    """Give powers on the grid of spectra that come block by block; one channel counts as the same on both sides."""
    parts = [_block_powers(spectra, grid) for spectra in blocks]
    power, shared, difference = (np.concatenate(kind) for kind in zip(*parts, strict=True))
    return StereoPower(power, shared, difference)


def _block_powers(spectra: Spectra, grid: FrequencyGrid) -> tuple[Floats, Floats, Floats]:
    left, right = spectra[0], spectra[-1]
    left_power = grid.reduce(left.real**2 + left.imag**2)
    if len(spectra) == 1:
        return 2 * left_power, left_power, np.zeros_like(left_power)
    right_power = grid.reduce(right.real**2 + right.imag**2)
    shared = grid.reduce(left.real * right.real + left.imag * right.imag)
    return left_power + right_power, shared, left_power - right_power


def similar_frames(magnitude: Floats) -> NDArray[np.intp]:
    """Give for each frame the nine others that sound most like it (frames, 9)."""
    frames = len(magnitude)
    if frames <= 2 * _NOT_SIMILAR_WITHIN:
        return np.repeat(np.arange(frames)[:, None], _NEIGHBOURS, axis=1)
    coarse = np.sqrt(np.add.reduceat(magnitude, np.arange(0, magnitude.shape[1], 8), axis=1))
    coarse /= np.linalg.norm(coarse, axis=1, keepdims=True) + np.float32(1e-9)
    alike = coarse @ coarse.T
    for offset in range(-_NOT_SIMILAR_WITHIN + 1, _NOT_SIMILAR_WITHIN):
        np.fill_diagonal(alike[max(0, -offset) :, max(0, offset) :], -1)
    return np.argpartition(-alike, _NEIGHBOURS, axis=1)[:, :_NEIGHBOURS]


def feature_maps(
    stereo: StereoPower, magnitude: Floats, similar: NDArray[np.intp], grid: FrequencyGrid
) -> Iterator[Map]:
    """Yield every map of `NAMES` once."""
    yield "pitch", np.log2(np.maximum(grid.hertz, 10) / 440)[None]
    centre, balance = centredness(stereo, 3, 3)
    yield "centre", centre
    yield "balance", balance
    yield "centre_wide", centredness(stereo, 13, 1)[0]
    levels = level(magnitude)
    yield from shape_maps(magnitude, levels)
    yield from motion_maps(levels, grid)
    repeating = np.minimum(median_of_rows(magnitude, similar), magnitude)
    yield "repeat", levels - level(repeating)
    novel = np.clip(1 - repeating / (magnitude + np.float32(1e-6)), 0.05, 1)
    yield from pitch_maps(magnitude, centre, novel, grid)


def centredness(stereo: StereoPower, frames: int, bands: int) -> tuple[Floats, Floats]:
    """Give what share of the power both channels hold alike (0..1) and how one-sided it is (0..1), smoothed."""

    def smooth(values: Floats) -> Floats:
        if bands == 1:
            return uniform_filter1d(values, frames, axis=0)
        return uniform_filter(values, (frames, bands))

    power = np.maximum(smooth(stereo.power), 0) + np.float32(1e-10)
    centre = np.clip(2 * smooth(stereo.shared) / power, 0, 1)
    return centre, np.minimum(np.abs(smooth(stereo.difference) / power), 1)


def shape_maps(magnitude: Floats, levels: Floats) -> Iterator[Map]:
    """Yield how each point stands out from its surroundings in time and in frequency."""
    along_time = level(median_filter(magnitude, 0, 1))
    yield "harmonic", along_time - level(median_filter(magnitude, 1, 2))
    yield "sustain", levels - level(median_filter(magnitude, 0, 8))
    yield "peak", levels - level(median_filter(magnitude, 1, 4))
    yield "below_loudest", levels - level(magnitude.max(axis=1, keepdims=True))
    yield "above_usual", levels - level(magnitude.mean(axis=0, keepdims=True))


def motion_maps(levels: Floats, grid: FrequencyGrid) -> Iterator[Map]:
    """Yield how each point rose from two frames before, how it falls, and how much a whole frame rises."""
    padded = np.pad(levels, ((2, 2), (0, 0)), "edge")
    attack = levels - padded[:-4]
    yield "attack", attack
    yield "decay", levels - padded[4:]
    rise = np.maximum(attack, 0)
    low = (grid.hertz > 30) & (grid.hertz < 130)
    yield "flux", rise[:, grid.hertz > 200].mean(axis=1, keepdims=True)
    yield "low_flux", rise[:, low].mean(axis=1, keepdims=True)


def pitch_maps(magnitude: Floats, centre: Floats, novel: Floats, grid: FrequencyGrid) -> Iterator[Map]:
    """Yield the combs of a centred, non-repeating voice and of a centred bass, with their salience."""
    hertz = grid.hertz[None]
    sung = np.sqrt(magnitude * centre**2 * novel) * (hertz > 90) / (1 + hertz / 1500)
    teeth, salience = comb(sung, grid, VOICE)
    yield "voice_comb", teeth
    yield "voice", salience
    plucked = np.sqrt(magnitude * (0.3 + 0.7 * centre)) * (hertz < 1200) / (1 + hertz / 200)
    teeth, salience = comb(plucked.astype(np.float32), grid, BASS)
    yield "bass_comb", teeth
    yield "bass", salience
