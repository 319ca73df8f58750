"""Who is meant by the name of a track's artist, as catalogues write it."""

from __future__ import annotations

import pytest

from stemline.splits.artist_names import names_of
from stemline.splits.atoms import given_split, track_atoms

SAME = [
    ("Beyoncé", "BEYONCE "),
    ("The Beatles", "Beatles, The"),
    ("The Weeknd", "weeknd"),
    ("Ｂｊｏｒｋ", "Björk"),  # noqa: RUF001
    ("B.I.G.", "BIG"),
    ("Nirvana (US)", "Nirvana"),
    ("Guns N’ Roses", "Guns N' Roses"),  # noqa: RUF001
]
JOINT = [
    "A & B",
    "A feat. B",
    "A feat.B",
    "A ft B",
    "A (featuring B)",
    "A with B",
    "A x B",
    "A × B",  # noqa: RUF001
    "A vs. B",
    "A, B",
    "A;B",
    "A / B",
    "A + B",
    "A and B",
    "A w/ B",
    "A & Friends feat. B",
]
NOBODY = [
    "",
    "  ",
    None,
    "Various Artists",
    "V/A",
    "V.A.",
    "Unknown Artist",
    "N/A",
    "-",
    "various artists & unknown",
]


@pytest.mark.parametrize(("one", "other"), SAME)
def test_one_artist_is_known_by_several_spellings(one, other):
    assert names_of(one) == names_of(other)
    assert len(names_of(one)) == 1


@pytest.mark.parametrize("name", JOINT)
def test_a_joint_name_stands_for_both(name):
    assert names_of(name) == {"a", "b"}


@pytest.mark.parametrize("name", NOBODY)
def test_a_placeholder_names_nobody(name):
    assert names_of(name) == set()


@pytest.mark.parametrize(
    ("title", "guests"),
    [
        ("Song (feat. B & C)", {"b", "c"}),
        ("Song [ft. B] (Remix)", {"b"}),
        ("Song (with B)", {"b"}),
        ("Song feat. B", {"b"}),
        ("Left with you", set()),
        ("Song (with strings)", set()),
        ("Feature", set()),
    ],
)
def test_guests_are_found_in_titles(title, guests):
    assert names_of("A", title) == {"a", *guests}


def test_what_many_have_in_common_ties_nobody():
    assert names_of("Duke Ellington & His Orchestra") == {"duke ellington"}
    assert names_of("Bob Dylan & The Band") == {"bob dylan", "band"}
    assert names_of("Friends") == {"friends"}


def test_bands_are_cut_the_same_way_each_time():
    assert names_of("Earth, Wind & Fire") == names_of("EARTH, WIND AND FIRE") == {"earth", "wind", "fire"}
    assert names_of("AC/DC") == {"ac", "dc"}
    assert "tyler" in names_of("Tyler, The Creator")
    assert names_of("Malcolm X") == {"malcolm x"}


def atoms(by="artist", **cells):
    return set(track_atoms({"track_id": "t", **cells}, by))


def test_an_isrc_ties_tracks_only_where_it_is_one():
    assert atoms(artist="A", isrc="US-ABC-12-34567") & atoms(artist="B", isrc="usabc1234567")
    assert not atoms(artist="A", isrc="unknown") & atoms(artist="B", isrc="unknown")


def test_whoever_is_nobody_is_a_group_of_its_own():
    one, other = (
        {"track_id": "1", "artist": "Various Artists"},
        {"track_id": "2", "artist": "Various Artists"},
    )
    assert not set(track_atoms(one, "artist")) & set(track_atoms(other, "artist"))
    same = {"source_sha256": "ab"}
    assert track_atoms(one | same, "artist") == track_atoms(other | same, "artist")


def test_other_columns_are_compared_as_they_are():
    assert atoms("album", album="Blue & Green") == atoms("album", album="blue &  green")
    assert len(atoms("album", album="Blue & Green")) == 1
    assert atoms("track_id") != set(track_atoms({"track_id": "u"}, "track_id"))
    assert len(atoms("isrc", artist="A", isrc="USABC1234567")) == 1


def test_an_empty_split_is_none():
    assert [given_split({"split": text}) for text in ("test", " ", "", None)] == ["test", None, None, None]
