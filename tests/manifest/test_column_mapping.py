"""`catalogue.columns`: a manifest's columns under our names, wherever they are spoken of."""

from __future__ import annotations

import gzip
import json

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from stemline.errors import ConfigError
from stemline.manifest import ManifestSource
from stemline.manifest.scan import read_columns, scan_manifest
from stemline.settings.document import build_settings

ROWS = [
    {"ID": 7, "Link": "https://h/a.mp3", "Track Title": "One", "Time": "1:30", "ISRC": "GBA1", "Plays": 3},
    {
        "ID": 8,
        "Link": "https://h/b.mp3",
        "Track Title": "1999",
        "Time": "1:02:03.5",
        "ISRC": None,
        "Plays": 9,
    },
]
COLUMNS = {"track_id": "ID", "uri": "link ", "title": "Track Title", "duration_seconds": "Time"}


def write(tmp_path, form):
    path = tmp_path / f"m.{form}"
    names = list(ROWS[0])
    lines = [names, *([str(row[name] or "") for name in names] for row in ROWS)]
    if form == "parquet":
        pq.write_table(pa.Table.from_pylist(ROWS), path)
    elif form == "jsonl":
        path.write_text("".join(json.dumps(row) + "\n" for row in ROWS))
    elif form == "csv.gz":
        path.write_bytes(gzip.compress("\n".join(";".join(line) for line in lines).encode()))
    else:
        path.write_text("\n".join(("\t" if form == "tsv" else ",").join(line) for line in lines))
    return path


def source(tmp_path, form="csv", **more):
    return ManifestSource(str(write(tmp_path, form)), **{"columns": COLUMNS, **more})


def tracks(source):
    return [track for batch in scan_manifest(source) for track in batch.tracks]


@pytest.mark.parametrize("form", ["csv", "csv.gz", "tsv", "jsonl", "parquet"])
def test_every_form_is_read_under_our_names(tmp_path, form):
    found = tracks(source(tmp_path, form))

    assert [(track.track_id, track.location, track.duration_seconds) for track in found] == [
        ("7", "https://h/a.mp3", 90.0),
        ("8", "https://h/b.mp3", 3723.5),
    ]
    assert [track.columns for track in found] == [
        {"title": "One", "isrc": "GBA1", "Plays": 3},
        {"title": "1999", "isrc": None, "Plays": 9},
    ]


@pytest.mark.parametrize("form", ["csv", "parquet"])
def test_a_mapped_column_is_in_the_dataset_once(tmp_path, form):
    schema = read_columns(source(tmp_path, form))

    assert schema.names == ["title", "isrc", "Plays"]
    assert schema.field("title").type == pa.string()


@pytest.mark.parametrize(
    "where", ["title = 'One'", "\"Track Title\" = 'One'", "Time < 100", "duration_seconds < 100", "id = '7'"]
)
@pytest.mark.parametrize("form", ["csv", "jsonl"])
@pytest.mark.long
def test_a_filter_may_use_our_names_and_the_manifests(tmp_path, where, form):
    assert [track.track_id for track in tracks(source(tmp_path, form, where=where))] == ["7"]


@pytest.mark.parametrize("order", ["title", '"Track Title"', "duration_seconds DESC", '"time" DESC'])
def test_an_order_may_use_our_names_and_the_manifests(tmp_path, order):
    (one, other) = tracks(source(tmp_path, order_by=order))
    assert other.priority > one.priority


@pytest.mark.parametrize("name", ["released_on", "Out"])
def test_a_type_may_be_given_by_either_name(tmp_path, name):
    path = tmp_path / "m.csv"
    path.write_text("uri,Out,Code\nhttps://h/a.mp3,2004-05-06,007\n")
    given = ManifestSource(str(path), columns={"released_on": "Out"}, types={name: "text", "code": "integer"})

    (track,) = tracks(given)
    assert track.columns["Code"] == 7


def test_a_type_that_is_given_by_both_names_is_refused(tmp_path):
    with pytest.raises(ConfigError, match=r'names the column "Track Title" twice.*Keep one'):
        tracks(source(tmp_path, types={"Track Title": "text", "title": "text"}))


def test_two_columns_may_change_their_names(tmp_path):
    path = tmp_path / "m.csv"
    path.write_text("uri,artist,title\nhttps://h/a.mp3,Song,Singer\n")

    (track,) = tracks(ManifestSource(str(path), columns={"title": "artist", "artist": "title"}))
    assert track.columns == {"title": "Song", "artist": "Singer"}


def test_a_column_that_is_not_there_names_the_nearest(tmp_path):
    with pytest.raises(ConfigError, match=r'"Track Titel".*nearest is "Track Title".*columns are ID, Link, '):
        tracks(source(tmp_path, columns={**COLUMNS, "title": "Track Titel"}))


def test_a_name_that_another_column_has_is_refused(tmp_path):
    path = tmp_path / "m.csv"
    path.write_text("uri,Title,Song\nhttps://h/a.mp3,a,b\n")

    with pytest.raises(ConfigError, match=r'has a "Title" of its own.*take `title` out of catalogue.columns'):
        tracks(ManifestSource(str(path), columns={"title": "Song"}))


def test_a_folder_has_no_columns_to_map(tmp_path):
    (tmp_path / "a.mp3").write_bytes(b"audio")

    with pytest.raises(ConfigError, match=r"which have none.*Take catalogue.columns out"):
        tracks(ManifestSource(str(tmp_path), columns={"title": "Song"}))


@pytest.mark.parametrize(
    ("columns", "sentence"),
    [
        ({"titel": "Song"}, '"titel" is no column.*nearest is "title"'),
        ({"title": "Song", "artist": " song"}, '"title" and "artist" both name'),
        ({"title": " "}, '"title" names no column'),
        ({"url": "Link"}, '"url" is no column.*nearest is "uri"'),
    ],
)
def test_a_mapping_that_cannot_be_meant_is_refused(tmp_path, columns, sentence):
    tree = {"catalogue": {"manifest": "m.csv", "columns": columns}, "provider": {"kind": "local"}}

    with pytest.raises(ConfigError, match=sentence):
        build_settings({**tree, "dataset": {"url": "d"}}, tmp_path / "c.yaml")


def test_a_delimiter_is_found_without_a_name_that_is_known(tmp_path):
    path = tmp_path / "m.csv"
    path.write_text("Titel;Datei, lokal\nOne;https://h/a.mp3\n")

    (track,) = tracks(ManifestSource(str(path), columns={"uri": "Datei, lokal"}))
    assert track.location == "https://h/a.mp3"
