"""The transform and its grid: exact back and forth, alike at every sample rate."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from stemline_local.engine.grid import FINE_HERTZ, grid_for
from stemline_local.engine.stft import OVERLAP, analyse, hop_for, synthesise, window

RATES = (8000, 16000, 22050, 44100, 48000, 96000)


@given(length=st.integers(1, 5000), channels=st.integers(1, 2), hop=st.sampled_from([16, 60, 189, 256]))
def test_synthesis_gives_back_what_was_analysed(length, channels, hop):
    samples = np.random.default_rng(length).normal(0, 0.3, (length, channels)).astype(np.float32)
    spectra = analyse(samples, hop)
    assert spectra.shape[0] == channels
    assert spectra.shape[2] == OVERLAP * hop // 2 + 1
    assert np.abs(synthesise(spectra, length, hop) - samples).max() < 2e-6


def test_overlapping_windows_add_up_to_one():
    squares = window(256).astype(np.float64) ** 2
    assert np.allclose(squares.reshape(OVERLAP, 256).sum(axis=0), 1, atol=1e-6)


def test_a_click_lies_in_the_frames_around_it():
    samples = np.zeros((44100, 1), np.float32)
    samples[20 * 1024] = 1
    power = (np.abs(analyse(samples, 1024)[0]) ** 2).sum(axis=1)
    assert power.argmax() == 22


@pytest.mark.parametrize("rate", RATES)
def test_bins_mean_about_the_same_at_every_sample_rate(rate):
    grid = grid_for(hop_for(rate), rate)
    assert grid.spacing == pytest.approx(44100 / 4096, rel=0.02)


@pytest.mark.parametrize("rate", RATES)
def test_bands_cover_every_bin_once(rate):
    grid = grid_for(hop_for(rate), rate)
    bins = OVERLAP * hop_for(rate) // 2 + 1
    assert grid.widths.sum() == bins
    assert np.array_equal(np.bincount(grid.band_of_bin), grid.widths)
    assert (grid.widths[grid.hertz < FINE_HERTZ - grid.spacing] == 1).all()


def test_reducing_an_expanded_mask_gives_the_mask():
    grid = grid_for(1024, 44100)
    mask = np.random.default_rng(1).random((3, len(grid.widths))).astype(np.float32)
    assert np.allclose(grid.reduce(grid.expand(mask)), mask, atol=1e-6)
