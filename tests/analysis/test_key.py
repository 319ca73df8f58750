from __future__ import annotations

import numpy as np
import pytest

from stemline.analysis import KeyEstimate, estimate_key
from stemline_local.songs import make_song
from stemline_local.songs.notes import KEYS, MAJOR, MINOR, hertz, parse_key

RATE = 22050


def cadence(key: str, cents: float = 0.0, rate: int = RATE) -> np.ndarray:
    """Tonic, subdominant, dominant, tonic, as plain chords with overtones; a second each, twice."""
    tonic, is_minor = parse_key(key)
    scale = MINOR if is_minor else MAJOR
    time = np.arange(rate) / rate
    chords = []
    for degree in (0, 3, 4, 0) * 2:
        notes = [tonic + scale[(degree + i) % 7] + 12 * ((degree + i) // 7) for i in (0, 2, 4)]
        if is_minor and degree == 4:
            notes[1] = tonic + 11
        notes.append(notes[0] - 12)
        pitches = [hertz(60 + note, cents) for note in notes]
        chords.append(
            sum(np.sin(2 * np.pi * pitch * k * time) / k**1.5 for pitch in pitches for k in range(1, 6))
        )
    return np.concatenate(chords).astype(np.float32) * 0.05


@pytest.mark.parametrize("key", KEYS)
def test_a_cadence_in_every_key_is_recognised(key):
    found = estimate_key(cadence(key), RATE)

    assert found.name == key
    assert found.alternative in set(KEYS) - {key}
    assert found.strength > 0.6


@pytest.mark.parametrize("cents", [-35, 20, 40])
def test_a_band_tuned_off_440_hz_is_followed(cents):
    assert estimate_key(cadence("Gm", cents), RATE).name == "Gm"


@pytest.mark.parametrize("rate", [16000, 44100, 48000])
def test_the_sample_rate_and_the_channels_make_no_difference(rate):
    mono = cadence("F#", rate=rate)

    assert estimate_key(np.stack([mono, 0.3 * mono], axis=1), rate).name == "F#"


@pytest.mark.parametrize("length", [0, 1, 500, RATE, 30 * RATE])
def test_silence_has_no_key(length):
    assert estimate_key(np.zeros((length, 2), np.float32), RATE) == KeyEstimate(None, 0.0, None)


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("seconds", [3, 10, 30])
def test_noise_has_no_key(seed, seconds):
    noise = np.random.default_rng(seed).standard_normal(seconds * RATE).astype(np.float32)

    assert estimate_key(0.1 * noise, RATE).name is None


def test_not_a_number_counts_as_silence():
    sound = cadence("C")
    sound[1000:1010] = np.nan

    assert estimate_key(sound, RATE).name == "C"


@pytest.mark.long
def test_most_made_songs_are_right():
    songs = [make_song(seed, key=key, seconds=20) for seed, key in enumerate(("A", "D#m", "F", "Gm"))]

    assert sum(estimate_key(song.mix, song.sample_rate).name == song.key for song in songs) >= 3
