"""The columns of exports as players, stores and labels write them are recognised."""

from __future__ import annotations

import csv
import json

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from stemline.manifest import ManifestSource
from stemline.manifest.sample import read_sample
from stemline.onboarding.proposal import propose_mapping


def proposal(tmp_path, header, *rows):
    path = tmp_path / "m.csv"
    with path.open("w", newline="") as file:
        csv.writer(file).writerows([header, *rows])
    return propose_mapping(read_sample(ManifestSource(str(path))))


EXPORTS = {
    "spotify": (
        [
            "Track URI",
            "Track Name",
            "Artist Name(s)",
            "Album Name",
            "Album Release Date",
            "Track Duration (ms)",
            "Link",
        ],
        [
            ["spotify:track:1", "One", "Ann", "X", "2004-05-06", "215000", "https://h/1.mp3"],
            ["spotify:track:2", "Two", "Bob", "X", "2004", "187000", "https://h/2.mp3"],
        ],
        {"track_id": "Track URI", "title": "Track Name", "artist": "Artist Name(s)", "album": "Album Name"}
        | {"released_on": "Album Release Date", "uri": "Link"},
    ),
    "itunes": (
        ["Name", "Artist", "Album", "Genre", "Time", "Year", "Location"],
        [
            ["One", "Ann", "X", "Pop", "215", "2004", "/m/1.m4a"],
            ["Two", "Bob", "X", "Pop", "187", "2004", "/m/2.m4a"],
        ],
        {"title": "Name", "duration_seconds": "Time", "uri": "Location"},
    ),
    "rekordbox": (
        ["#", "Track Title", "Artist", "Album", "BPM", "Time", "Key", "File Path"],
        [
            ["1", "One", "Ann", "X", "120", "03:35", "Am", "/m/1.aiff"],
            ["2", "Two", "", "X", "98", "04:01", "C", "/m/2.aiff"],
        ],
        {"title": "Track Title", "duration_seconds": "Time", "uri": "File Path"},
    ),
    "ddex": (
        [
            "ResourceReference",
            "ISRC",
            "ReferenceTitle",
            "DisplayArtistName",
            "ReleaseTitle",
            "SoundRecordingFileName",
        ],
        [
            ["A1", "GBAYE0601498", "One", "Ann", "X", "A1.wav"],
            ["A2", "GBAYE0601499", "Two", "Ann", "X", "A2.wav"],
        ],
        {"track_id": "ResourceReference", "title": "ReferenceTitle", "artist": "DisplayArtistName"}
        | {"album": "ReleaseTitle", "uri": "SoundRecordingFileName"},
    ),
    "german": (
        ["Pfad", "Titel", "Künstler", "Albumtitel", "Länge", "ISRC-Code"],
        [["m/1.mp3", "Eins", "Ann", "X", "3:35", "GB-AYE-06-01498"]],
        {"uri": "Pfad", "title": "Titel", "artist": "Künstler", "album": "Albumtitel"}
        | {"duration_seconds": "Länge", "isrc": "ISRC-Code"},
    ),
    "odd case": (
        ["FILE_NAME", "track title", "isrc_code"],
        [["1.mp3", "One", "GBAYE0601498"]],
        {"uri": "FILE_NAME", "title": "track title", "isrc": "isrc_code"},
    ),
}


@pytest.mark.parametrize("name", EXPORTS)
def test_the_columns_of_an_export_are_recognised(tmp_path, name):
    header, rows, mapping = EXPORTS[name]
    assert proposal(tmp_path, header, *rows).mapping == mapping


def test_columns_that_are_called_as_we_call_them_need_no_mapping(tmp_path):
    found = proposal(tmp_path, ["URL", "Title", " ISRC"], ["https://h/a.mp3", "One", "GBAYE0601498"])

    assert found.mapping == {}
    assert {each.ours: each.theirs for each in found.columns} == {
        "uri": "URL",
        "title": "Title",
        "isrc": "ISRC",
    }


@pytest.mark.parametrize(
    ("header", "row", "mapping"),
    [
        (["A", "B"], ["GBAYE0601498", "https://h/a.mp3"], {"uri": "B", "isrc": "A"}),
        (["A", "B"], ["there.bin", "3:35"], {"uri": "A", "duration_seconds": "B"}),
        (["A", "B"], ["nowhere.bin", "Ann"], {}),
        (["A", "B"], ["a.mp3", "b.mp3"], {}),  # which of the two it is, nobody can tell
        (["title", "Song", "x"], ["One", "Uno", "a.mp3"], {"uri": "x"}),
        (["Track ID", "x"], ["", "a.mp3"], {"uri": "x"}),
        (["url", "File Name"], ["https://h/a.mp3", "a.mp3"], {}),
        (["x", "Release Date"], ["a.mp3", "2004"], {"uri": "x"}),
    ],
)
def test_values_tell_where_names_do_not(tmp_path, header, row, mapping):
    (tmp_path / "there.bin").write_bytes(b"audio")
    assert proposal(tmp_path, header, row).mapping == mapping


def test_what_repeats_is_no_track_id(tmp_path):
    assert "track_id" not in proposal(tmp_path, ["ID", "x"], ["7", "a.mp3"], ["7", "b.mp3"]).mapping


def test_milliseconds_are_no_seconds(tmp_path):
    (note,) = proposal(tmp_path, ["x", "Duration (ms)"], ["a.mp3", "215000"], ["b.mp3", "180000"]).notes
    assert '"Duration (ms)" seems to be milliseconds' in note


@pytest.mark.parametrize("form", ["jsonl", "parquet", "tsv"])
def test_every_form_is_looked_at(tmp_path, form):
    path, row = tmp_path / f"m.{form}", {"File": "a.mp3", "Song": "One", "Extra": [1, 2], "None": None}
    if form == "parquet":
        pq.write_table(pa.Table.from_pylist([row]), path)
    elif form == "jsonl":
        path.write_text("not json\n" + json.dumps(row) + "\n")
    else:
        path.write_text("File\tSong\tExtra\na.mp3\tOne\t1\n")

    found = propose_mapping(read_sample(ManifestSource(str(path))))
    assert found.mapping == {"uri": "File", "title": "Song"}
    assert "Extra" in found.others
