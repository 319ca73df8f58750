from __future__ import annotations

import pytest

from stemline.analysis import key as analysis
from stemline.report.musical_key import KEYS, key_index


@pytest.mark.parametrize(
    ("name", "key"),
    [
        ("C", "C"),
        ("C major", "C"),
        ("CM", "C"),
        ("Cm", "Cm"),
        ("a minor", "Am"),
        ("A Minor", "Am"),
        ("A min", "Am"),
        ("Amin", "Am"),
        ("A maj", "A"),
        ("C#", "D♭"),
        ("D♭", "D♭"),
        ("Db major", "D♭"),
        ("Gbm", "F♯m"),
        ("F# minor", "F♯m"),
        ("B-minor", "Bm"),
        ("Bb", "B♭"),
        ("Cb", "B"),
        ("8A", "Am"),
        ("8B", "C"),
        ("9b", "G"),
        ("1A", "G♯m"),
        ("12B", "E"),
        (" Em ", "Em"),
    ],
)
def test_a_key_is_known_however_it_is_spelled(name, key):
    assert KEYS[key_index(name)] == key


@pytest.mark.parametrize("name", ["", "H", "unknown", "13A", "0B", "Amazing", "C##", "A minor 7", "<b>"])
def test_what_is_no_key_has_no_place(name):
    assert key_index(name) is None


def test_every_key_finds_itself():
    assert [key_index(name) for name in KEYS] == list(range(24))


def test_every_key_our_own_analysis_names_has_its_place():
    named = [note + mode for mode in ("", "m") for note in analysis.NOTES]
    assert [key_index(name) for name in named] == list(range(24))
