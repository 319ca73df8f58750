"""The feature maps tell apart what they are for, and stay finite on anything."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import ndimage

from stemline_local.engine.features import NAMES, extract_features
from stemline_local.engine.grid import grid_for
from stemline_local.engine.median import median_filter, median_of_nine, median_of_rows
from stemline_local.engine.pitch_tracking import VOICE, candidates, comb, follow, salience

RATE = 44100
SECOND = np.arange(RATE) / RATE


def feature(samples, name):
    analysis = extract_features(samples.astype(np.float32), RATE)
    return analysis.maps[NAMES.index(name)], analysis


def tone(hertz, harmonics=8):
    return sum(np.sin(2 * np.pi * hertz * k * SECOND) / k for k in range(1, harmonics + 1))


def clicks():
    samples = np.zeros(RATE)
    samples[::11025] = 1
    return samples


def test_median_of_nine_is_the_median():
    taps = np.random.default_rng(0).random((9, 40, 7)).astype(np.float32)
    assert np.array_equal(median_of_nine(list(taps)), np.median(taps, axis=0))


@pytest.mark.parametrize("axis", [0, 1])
def test_median_filter_agrees_with_scipy(axis):
    values = np.random.default_rng(1).random((70, 50)).astype(np.float32)
    size = (9, 1) if axis == 0 else (1, 9)
    assert np.array_equal(median_filter(values, axis, 1), ndimage.median_filter(values, size, mode="nearest"))


def test_median_of_rows_takes_the_named_rows():
    values = np.random.default_rng(2).random((20, 6)).astype(np.float32)
    rows = np.random.default_rng(3).integers(0, 20, (40, 9))
    assert np.array_equal(median_of_rows(values, rows), np.median(values[rows], axis=1))


@pytest.mark.parametrize(("left", "right", "centre", "balance"), [(1, 1, 1, 0), (1, 0, 0, 1), (0, 1, 0, 1)])
def test_centre_and_balance_say_where_a_sound_stands(left, right, centre, balance):
    samples = np.stack([left * tone(220), right * tone(220)], axis=1)
    found, analysis = feature(samples, "centre")
    loud = analysis.magnitude > analysis.magnitude.max() / 10
    assert found[loud].mean() == pytest.approx(centre, abs=0.02)
    assert feature(samples, "balance")[0][loud].mean() == pytest.approx(balance, abs=0.02)


@pytest.mark.parametrize(("samples", "sign"), [(tone(440), 1), (clicks(), -1)], ids=["tone", "clicks"])
def test_tones_look_harmonic_and_clicks_percussive(samples, sign):
    found, analysis = feature(np.stack([samples, samples], axis=1), "harmonic")
    loud = analysis.magnitude > analysis.magnitude.max() / 10
    assert sign * np.median(found[loud]) > 1


def test_the_voice_comb_stands_on_the_harmonics_of_a_sung_pitch():
    samples = tone(233.1)
    found, analysis = feature(np.stack([samples, samples], axis=1), "voice_comb")
    middle, hertz = found[len(found) // 2], analysis.grid.hertz
    on = np.abs(hertz - 3 * 233.1).argmin()
    off = np.abs(hertz - 3.5 * 233.1).argmin()
    assert middle[on] > 0.5
    assert middle[off] < 0.05


def test_the_followed_pitch_is_the_played_one():
    analysis = extract_features(np.repeat(tone(311.1)[:, None], 2, axis=1).astype(np.float32), RATE)
    path = follow(salience(np.sqrt(analysis.magnitude), analysis.grid, VOICE))
    assert np.median(candidates(VOICE)[path]) == pytest.approx(311.1, rel=0.015)


def test_a_comb_over_silence_is_silent():
    grid = grid_for(1024, RATE)
    teeth, strength = comb(np.zeros((30, len(grid.hertz)), np.float32), grid, VOICE)
    assert not teeth.any()
    assert not strength.any()


def test_loudness_does_not_change_what_is_seen():
    samples = np.random.default_rng(4).normal(0, 0.1, (RATE, 2)).astype(np.float32)
    loud, quiet = extract_features(samples, RATE).maps, extract_features(samples / 64, RATE).maps
    assert np.abs(loud - quiet).max() < 0.05


@pytest.mark.parametrize("length", [1, 1000, 4410, 50000])
@pytest.mark.parametrize("scale", [0, 1e-9, 1, 1000])
def test_maps_are_finite_for_any_length_and_level(length, scale):
    samples = scale * np.random.default_rng(5).normal(0, 1, (length, 2))
    assert np.isfinite(extract_features(samples.astype(np.float32), RATE).maps).all()
