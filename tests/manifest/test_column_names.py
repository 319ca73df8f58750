"""Columns that look like ours under another name."""

from __future__ import annotations

from collections import Counter

import pytest

from stemline.manifest.column_names import KNOWN_NAMES, likely_columns, plain_name
from stemline.settings.column_mapping import MAPPED_COLUMNS


@pytest.mark.parametrize(
    ("names", "found"),
    [
        (
            ["ISRC_code", "Artist Name", "Track Title", "File"],
            {"uri": "File", "artist": "Artist Name", "title": "Track Title", "isrc": "ISRC_code"},
        ),
        (["uri", "artist", "title"], {}),
        (["URL", "File Name", "Title"], {}),
        (["path", "Release Date", "Licence"], {"released_on": "Release Date", "license": "Licence"}),
        (["uri", "Song", "Track Title"], {"title": "Track Title"}),
        (["uri", "mood", "publisher"], {}),
        (
            ["File Path", "Track-ID", "Duration (s)"],
            {"uri": "File Path", "track_id": "Track-ID", "duration_seconds": "Duration (s)"},
        ),
        (["uri", "Artist Name", "artist"], {}),
        (["Dateipfad", "Künstler", "Titel"], {"uri": "Dateipfad", "title": "Titel", "artist": "Künstler"}),
        ([], {}),
    ],
)
def test_a_column_of_ours_is_found_under_what_others_call_it(names: list[str], found: dict[str, str]) -> None:
    assert likely_columns(names) == found


@pytest.mark.parametrize("name", ["Duration", "Length", "Time", "Länge", "Duration (ms)", "Date", "Release"])
def test_a_name_that_does_not_tell_is_not_hinted_at(name: str) -> None:
    """Who is told to map milliseconds as seconds would pay for nothing, and believe it."""
    assert likely_columns(["uri", name]) == {}


def test_an_opt_out_is_not_taken_for_a_permission() -> None:
    assert likely_columns(["uri", "tdm_optout", "TDM"]) == {}


def test_each_name_is_written_plainly_and_stands_for_one_of_ours() -> None:
    names = [name for others in KNOWN_NAMES.values() for name in others]

    assert not [name for name, count in Counter(names).items() if count > 1]
    assert [plain_name(name) for name in names] == names
    assert set(KNOWN_NAMES) == set(MAPPED_COLUMNS)
