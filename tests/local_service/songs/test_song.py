from __future__ import annotations

from functools import reduce

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.random_examples import examples

from stemline_local.songs import STEMS, make_song
from stemline_local.songs.notes import KEYS, parse_key


@pytest.mark.long
@settings(max_examples=examples(8), deadline=None)
@given(seed=st.integers(0, 2**31))
def test_any_seed_gives_a_song_whose_mix_is_the_sum_of_its_stems(seed):
    song = make_song(seed, seconds=6)

    assert tuple(song.stems) == STEMS
    assert {stem.shape for stem in song.stems.values()} == {(6 * 44100, 2)}
    assert {stem.dtype for stem in song.stems.values()} == {np.dtype(np.float32)}
    assert np.array_equal(song.mix, reduce(np.add, song.stems.values()))
    assert np.isfinite(song.mix).all()
    assert 0.5 < np.abs(song.mix).max() <= 1.0
    assert 60 <= song.bpm <= 180
    assert song.key in KEYS


def test_the_same_seed_gives_the_same_song():
    first, second = make_song(7, seconds=8), make_song(7, seconds=8)

    assert (first.bpm, first.key) == (second.bpm, second.key)
    assert np.allclose(first.mix, second.mix, atol=1e-5)


def test_another_seed_gives_another_song():
    assert not np.allclose(make_song(7, seconds=8).mix, make_song(8, seconds=8).mix, atol=0.01)


def test_tempo_and_key_are_as_wished():
    song = make_song(3, bpm=91.5, key="A#m", seconds=5)

    assert (song.bpm, song.key) == (91.5, "A#m")


@pytest.mark.parametrize("key", ["H", "Bb", "gm", ""])
def test_an_unknown_key_is_refused(key):
    with pytest.raises(ValueError, match="is not a key"):
        parse_key(key)


def test_stems_that_are_left_out_are_silent_and_the_others_play():
    song = make_song(2, seconds=8, without=("vocals", "drums"))

    assert not song.stems["vocals"].any()
    assert not song.stems["drums"].any()
    assert song.stems["bass"].any()


@pytest.mark.long
def test_vocals_drums_and_bass_play_in_every_song_and_something_with_them():
    for seed in range(6):
        song = make_song(seed, seconds=14)

        assert all(song.stems[stem].any() for stem in ("vocals", "drums", "bass"))
        assert any(song.stems[stem].any() for stem in ("piano", "guitar", "other"))


def test_a_bass_is_low_and_a_hat_is_high():
    song = make_song(0, seconds=10)
    hertz = np.fft.rfftfreq(len(song.mix), 1 / song.sample_rate)

    def share_above(stem: str, limit: float) -> float:
        power = np.abs(np.fft.rfft(song.stems[stem].mean(axis=1))) ** 2
        return float(power[hertz > limit].sum() / power.sum())

    assert share_above("bass", 1000) < 0.1
    assert share_above("drums", 1000) > 0.05


def test_the_beat_is_where_the_tempo_says():
    """The strongest rhythm of the drums is a whole number of them in a beat, or the reverse."""
    song = make_song(1, bpm=120, seconds=20)
    rate, hop = song.sample_rate, 441
    power = song.stems["drums"].mean(axis=1)[: 19 * rate].reshape(-1, hop) ** 2
    onsets = np.maximum(0, np.diff(np.sqrt(power.mean(axis=1))))
    onsets -= onsets.mean()
    correlation = np.correlate(onsets, onsets, "full")[len(onsets) - 1 :]

    best = 20 + int(np.argmax(correlation[20:210]))

    assert (best * hop / rate) / 0.125 == pytest.approx(round(best * hop / rate / 0.125), abs=0.1)


def test_a_very_short_song_is_no_trouble():
    assert make_song(5, seconds=0.5).mix.shape == (22050, 2)
