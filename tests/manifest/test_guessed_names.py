"""Names are guessed from files and folders where these are clear, and not where they are not."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stemline.manifest.guessed_names import GuessedNames, guess_names, numbered_folders


@pytest.mark.parametrize(
    ("path", "title", "artist", "album"),
    [
        ("01 - Ann - Song.flac", "Song", "Ann", None),
        ("Ann - Song.flac", "Song", "Ann", None),
        ("Ann_-_Some_Song.mp3", "Some Song", "Ann", None),
        ("Some_Song.mp3", "Some Song", None, None),
        ("Song.mp3", "Song", None, None),
        ("Ann/Album/03 Title.mp3", "Title", "Ann", "Album"),
        ("Rock/Ann/Album/03. Title.mp3", "Title", "Ann", "Album"),
        ("Ann/Album/CD1/03_Title.mp3", "Title", "Ann", "Album"),
        ("Ann/Album/1-03 Title.mp3", "Title", "Ann", "Album"),
        ("Ann/2004 - Album/03 - Title.mp3", "Title", "Ann", "Album"),
        ("Ann/Album (2004)/03 - Title.mp3", "Title", "Ann", "Album"),
        ("Ann/Ann - Album/03 - Ann - Title.mp3", "Title", "Ann", "Album"),
        ("Ann - Album/03 Title.mp3", "Title", "Ann", "Album"),
        ("Ann/Album/Ann - Album - 03 - Title.mp3", "Title", "Ann", "Album"),
        ("Ann - Album - 03 Title.mp3", "Title", "Ann", "Album"),
        ("Ann - 03 - Title.mp3", "Title", "Ann", None),
        ("Various Artists/Hits/07 - Ann - Title.mp3", "Title", "Ann", "Hits"),
        ("Bjo\u0308rk/De\u0301but/01 Human.mp3", "Human", "Björk", "Début"),
        ("99 Luftballons.mp3", "99 Luftballons", None, None),
        ("7 Seconds.mp3", "7 Seconds", None, None),
        # What is not clear is left alone.
        ("Things/Song.mp3", "Song", None, None),
        ("Ann/Album/03 Title - Live.mp3", "Title - Live", "Ann", "Album"),
        ("Ann - Song - Live.mp3", "Ann - Song - Live", None, None),
        ("Music/Unknown Album/Track 01.mp3", None, None, None),
        ("Ann/Album/Track01.mp3", None, "Ann", "Album"),
        ("1979.mp3", None, None, None),
        ("0f3c9a7be12d4455.flac", None, None, None),
        ("t-0f3c9a7be12d4455.flac", None, None, None),
        ("123e4567-e89b-12d3-a456-426614174000.wav", None, None, None),
        (" - .mp3", None, None, None),
    ],
)
def test_names_that_are_clear_are_guessed(path, title, artist, album):
    assert guess_names(path) == GuessedNames(title, artist, album)


def test_other_files_of_a_folder_tell_a_number_from_a_title():
    paths = ["Ann/Album/01 One.mp3", "Ann/Album/12 Two.mp3", "Nena/Nena/99 Luftballons.mp3"]
    numbered = numbered_folders(paths)

    assert [guess_names(path, numbered).title for path in paths] == ["One", "Two", "99 Luftballons"]


@given(st.lists(st.text("aA1 -_.é/\x00\ud800", max_size=12), max_size=4).map("/".join))
def test_any_name_gives_a_guess_or_none(path):
    names = guess_names(path, numbered_folders([path]))
    assert all(
        each is None or each.strip() == each != "" for each in (names.title, names.artist, names.album)
    )
