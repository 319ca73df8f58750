from __future__ import annotations

import tracemalloc

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.random_examples import examples

from stemline.analysis import TempoEstimate, estimate_tempo
from stemline_local.songs import make_song

RATE = 22050


def clicks(bpm: float, seconds: float = 20.0, rate: int = RATE) -> np.ndarray:
    """A woodblock on every beat."""
    sound = np.zeros(round(seconds * rate), np.float32)
    block = np.sin(2 * np.pi * 900 * np.arange(1500) / rate) * np.exp(-np.arange(1500) / 300)
    for beat in np.arange(0, seconds - 0.2, 60 / bpm):
        start = round(beat * rate)
        sound[start : start + 1500] += block
    return sound


def is_octave_of(bpm: float | None, truth: float) -> bool:
    return bpm is not None and any(abs(bpm * times / truth - 1) < 0.02 for times in (0.5, 1, 2))


@settings(max_examples=examples(25), deadline=None)
@given(bpm=st.floats(62, 178))
def test_clicks_at_any_tempo_are_found_up_to_an_octave(bpm):
    found = estimate_tempo(clicks(bpm), RATE)

    assert is_octave_of(found.bpm, bpm)
    assert found.alternative is not None
    assert found.strength > 0.4


@pytest.mark.parametrize("bpm", [92.0, 104.5, 118.3, 127.0])
def test_a_usual_tempo_is_exact_to_a_tenth(bpm):
    assert estimate_tempo(clicks(bpm, 30.0), RATE).bpm == pytest.approx(bpm, abs=0.1)


def test_the_alternative_is_half_or_double():
    found = estimate_tempo(clicks(100), RATE)

    assert found.bpm == pytest.approx(100, abs=0.1)
    assert found.alternative == pytest.approx(50, abs=0.1) or found.alternative == pytest.approx(200, abs=0.1)


@pytest.mark.parametrize("rate", [8000, 22050, 44100, 48000, 96000])
def test_the_sample_rate_makes_no_difference(rate):
    assert estimate_tempo(clicks(110, rate=rate), rate).bpm == pytest.approx(110, abs=0.3)


def test_stereo_and_a_quiet_level_make_no_difference():
    mono = clicks(110)

    stereo = estimate_tempo(np.stack([mono, mono], axis=1) * 0.01, RATE)

    assert stereo.bpm == pytest.approx(estimate_tempo(mono, RATE).bpm, abs=0.1)


@pytest.mark.parametrize("length", [0, 1, 500, RATE, 30 * RATE])
def test_silence_has_no_tempo(length):
    assert estimate_tempo(np.zeros((length, 2), np.float32), RATE) == TempoEstimate(None, 0.0, None)


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("seconds", [5, 10, 30])
def test_noise_has_no_tempo(seed, seconds):
    noise = np.random.default_rng(seed).standard_normal(seconds * RATE).astype(np.float32)

    assert estimate_tempo(0.1 * noise, RATE).bpm is None


def test_a_held_chord_has_no_tempo():
    time = np.arange(20 * RATE) / RATE

    assert estimate_tempo(sum(np.sin(2 * np.pi * f * time) for f in (262.0, 330.0, 392.0)), RATE).bpm is None


def test_not_a_number_counts_as_silence():
    sound = clicks(100)
    sound[1000:1010] = np.nan

    assert estimate_tempo(sound, RATE).bpm == pytest.approx(100, abs=0.3)


@pytest.mark.long
def test_made_songs_are_right_up_to_an_octave():
    for seed, bpm in enumerate((84, 100, 120, 132)):
        song = make_song(seed, bpm=bpm, seconds=20)

        assert is_octave_of(estimate_tempo(song.mix, song.sample_rate).bpm, bpm)


@pytest.mark.long
def test_an_hour_takes_no_more_memory_than_ten_minutes():
    hour = np.lib.stride_tricks.as_strided(clicks(120, 10.0), (360, 10 * RATE), (0, 4)).reshape(-1)

    tracemalloc.start()
    found = estimate_tempo(hour, RATE)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()

    assert found.bpm == pytest.approx(120, abs=0.5)
    assert peak < 500_000_000
