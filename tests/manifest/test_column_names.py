"""Columns that look like ours under another name."""

from __future__ import annotations

import pytest

from stemline.manifest.column_names import likely_columns


@pytest.mark.parametrize(
    ("names", "found"),
    [
        (
            ["ISRC_code", "Artist Name", "Track Title", "File"],
            {"uri": "File", "artist": "Artist Name", "title": "Track Title", "isrc": "ISRC_code"},
        ),
        (["uri", "artist", "title"], {}),
        (["URL", "File Name", "Title"], {}),
        (["path", "Release Date", "Licence"], {"license": "Licence", "released_on": "Release Date"}),
        (["uri", "Song", "Track Title"], {"title": "Track Title"}),
        (["uri", "mood", "publisher"], {}),
        (
            ["File Path", "Track-ID", "Duration (s)"],
            {"uri": "File Path", "track_id": "Track-ID", "duration_seconds": "Duration (s)"},
        ),
        (["uri", "Artist Name", "artist"], {}),
        ([], {}),
    ],
)
def test_a_column_of_ours_is_found_under_what_others_call_it(names: list[str], found: dict[str, str]) -> None:
    assert likely_columns(names) == found
