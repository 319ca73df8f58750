"""An order of our own: `catalogue.order_by` ranks the rows and takes the place of their priority."""

from __future__ import annotations

import duckdb
import pytest

from stemline.errors import ManifestError
from stemline.manifest import ManifestSource
from stemline.manifest.lines import BATCH_ROWS
from stemline.manifest.scan import scan_manifest
from stemline.records import Code

CSV = """uri,track_id,artist,released_on,duration_seconds,priority
https://h/1,a,Zoë,2020-01-01,300,9
https://h/2,b,Abba,2024-05-01,100,
https://h/3,c,Abba,2024-05-01,,1
https://h/4,d,Moby,,200,soon
"""


@pytest.fixture
def manifest(tmp_path):
    path = tmp_path / "m.csv"
    path.write_text(CSV)
    return path


def tracks(manifest, order_by, **slice_):
    found = scan_manifest(ManifestSource(str(manifest), order_by=order_by, **slice_))
    return [track for batch in found for track in batch.tracks]


def in_order(manifest, order_by, **slice_):
    by_priority = sorted(tracks(manifest, order_by, **slice_), key=lambda track: -track.priority)
    return "".join(track.track_id for track in by_priority)


@pytest.mark.parametrize(
    ("order_by", "order"),
    [
        ("duration_seconds", "bdac"),
        ("duration_seconds DESC", "adbc"),
        ("released_on DESC, artist", "bcad"),
        ("artist DESC -- the last ones first", "adbc"),
        ("lower(artist), track_id DESC", "cbda"),
        ("released_on DESC NULLS FIRST", "dbca"),
        ("length(artist) > 3", "abcd"),
    ],
)
def test_the_order_gives_every_track_its_priority(manifest, order_by, order):
    assert in_order(manifest, order_by) == order


def test_rows_still_come_in_the_manifests_order_with_its_row_numbers(manifest):
    found = tracks(manifest, "duration_seconds DESC")

    assert [(track.track_id, track.position) for track in found] == [("a", 1), ("b", 2), ("c", 3), ("d", 4)]
    assert [track.priority for track in found] == [-1, -3, -4, -2]


def test_equal_rows_keep_the_manifests_order(manifest):
    assert in_order(manifest, "1") == "abcd"


def test_a_limit_takes_the_first_of_the_order(manifest):
    assert in_order(manifest, "duration_seconds", limit=2) == "bd"


def test_an_order_and_a_filter_go_together(manifest):
    assert in_order(manifest, "duration_seconds", where="artist <> 'Moby'", limit=2) == "ba"


def test_rows_that_cannot_be_used_are_still_rejected(manifest):
    with manifest.open("a") as file:
        file.write("https://h/5,a,Twice,,10,\n,,,,5,\nbroken row,,,,,,x\n")
    batches = list(scan_manifest(ManifestSource(str(manifest), order_by="duration_seconds")))
    rejects = [reject for batch in batches for reject in batch.rejects]

    assert [(reject.row, reject.code) for reject in rejects] == [
        (5, Code.DUPLICATE_ID),
        (6, Code.NO_LOCATION),
        (7, Code.BAD_ROW),
    ]


@pytest.mark.parametrize("form", ["csv", "parquet", "jsonl"])
def test_many_rows_are_ranked_over_all_batches(tmp_path, form):
    count, path = 2 * BATCH_ROWS + 7, tmp_path / f"m.{form}"
    rows = f"SELECT 'https://h/' || i AS uri, (i * 7919) % {count} AS place FROM range({count}) t(i)"
    duckdb.execute(f"COPY ({rows}) TO '{path}'" + (" (HEADER)" if form == "csv" else ""))
    found = tracks(path, "place DESC")

    assert [track.position for track in found] == list(range(1, count + 1))
    assert all(track.priority == track.columns["place"] - count for track in found)


@pytest.mark.parametrize(
    ("order_by", "words"),
    [
        ("lenght_seconds", 'there is no column "lenght_seconds"'),
        ("artist DESC,", "cannot be read at"),
        ("artist LIMIT 1", "cannot be read at"),
        ("artist; DROP TABLE raw", "cannot be read at"),
        ("CAST(artist AS INTEGER)", "Could not convert string"),
    ],
)
def test_an_order_that_does_not_work_is_quoted_with_the_reason_and_the_columns(manifest, order_by, words):
    with pytest.raises(ManifestError) as refused:
        tracks(manifest, order_by)

    assert refused.value.message.startswith(f'catalogue.order_by "{order_by}" does not work: ')
    assert words in refused.value.message
    assert refused.value.fix.startswith("The manifest's columns are uri, track_id")


def test_a_broken_filter_is_named_beside_the_order(manifest):
    with pytest.raises(
        ManifestError, match=r'The filter "artst = 1" or catalogue\.order_by "artist" does not work'
    ):
        tracks(manifest, "artist", where="artst = 1")
