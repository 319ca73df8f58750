"""Tempo and key of a sound that comes in blocks are those of the whole; of a long one its middle counts."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from stemline.analysis import KeyEstimator, TempoEstimator, estimate_key, estimate_tempo, spectrum
from stemline.analysis.spectrum import MonoSpectra
from stemline.audio import resampled
from stemline_local.songs import make_song

RATE, SLOW, SIZE, HOP = 1000, 500, 64, 16


def whole_spectra(samples: np.ndarray, most: int) -> np.ndarray:
    """Give the spectra of the middle `most` samples by whole arrays."""
    start = max(0, (len(samples) - most) // 2)
    mono = resampled(samples[start : start + most].mean(axis=1), SLOW, RATE)
    window = 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(SIZE) / SIZE)
    frames = np.lib.stride_tricks.sliding_window_view(np.pad(mono, SIZE // 2), SIZE)[::HOP]
    return np.abs(np.fft.rfft(frames * window, axis=1))


@given(
    length=st.integers(1, 5000),
    cuts=st.lists(st.integers(0, 5000), max_size=8),
    seconds=st.sampled_from([1, 2, 600]),
)
def test_spectra_of_blocks_are_those_of_the_middle_of_the_whole(length, cuts, seconds):
    samples = np.random.default_rng(length).normal(0, 0.3, (length, 2)).astype(np.float32)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(spectrum, "LONGEST_SECONDS", seconds)
        coming = MonoSpectra(RATE, length, SLOW, SIZE, HOP)
        found = [some for block in np.split(samples, sorted(cuts)) for some in coming.add(block)]
        found += coming.end()
    assert np.allclose(np.concatenate(found), whole_spectra(samples, seconds * RATE), atol=1e-4)


def test_a_song_in_blocks_has_the_tempo_and_key_of_the_whole():
    song = make_song(4, bpm=104.0, key="Gm", seconds=15.0)
    tempo = TempoEstimator(song.sample_rate, len(song.mix))
    key = KeyEstimator(song.sample_rate, len(song.mix))
    for block in np.array_split(song.mix, 37):
        tempo.add(block)
        key.add(block)
    assert tempo.estimate() == estimate_tempo(song.mix, song.sample_rate)
    assert key.estimate() == estimate_key(song.mix, song.sample_rate)
