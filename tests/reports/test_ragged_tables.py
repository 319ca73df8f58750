"""Csv as spreadsheets write it, long fields, and Parquet in parts."""

from __future__ import annotations

from datetime import datetime

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from stemline.manifest import ManifestSource
from stemline.manifest.scan import scan_manifest
from stemline.records import Code, Reject, Track


def scan(manifest: object) -> tuple[list[Track], list[Reject]]:
    batches = list(scan_manifest(ManifestSource(str(manifest))))
    return (
        [track for batch in batches for track in batch.tracks],
        [reject for batch in batches for reject in batch.rejects],
    )


RAGGED = {
    "a short row": ("https://h/1,r1,rock", ("rock", None)),
    "a row that is the location alone": ("https://h/1", (None, None)),
    "empty surplus cells": ("https://h/1,r1,pop,ok,,,", ("pop", "ok")),
    "one empty surplus cell": ("https://h/1,r1,pop,ok,", ("pop", "ok")),
    "quoted empty surplus cells": ('https://h/1,r1,pop,ok,"",""', ("pop", "ok")),
    "a short row with a quoted line break": ('https://h/1,r1,"a\nb"', ("a\nb", None)),
    "surplus behind a quoted delimiter": ('https://h/1,r1,"a,b",ok,,', ("a,b", "ok")),
    "empty cells in the middle": ("https://h/1,r1,,ok", (None, "ok")),
    "a short row that ends in a delimiter": ("https://h/1,r1,", (None, None)),
    "two hundred empty cells": ("https://h/1,r1,pop,ok" + "," * 200, ("pop", "ok")),
    "nothing is amiss": ("https://h/1,r1,pop,ok", ("pop", "ok")),
}


@pytest.mark.parametrize("newline", ["\n", "\r\n"])
@pytest.mark.parametrize("case", RAGGED)
def test_a_ragged_row_is_a_row(tmp_path, case, newline):
    """ONLYOFFICE/DesktopEditors#427, dathere/qsv#2613: spreadsheets leave out or add empty cells at a row's end."""
    line, values = RAGGED[case]
    text = newline.join(["uri,track_id,genre,comment", line, "https://h/2,r2,jazz,nice", ""])
    (tmp_path / "m.csv").write_bytes(text.encode())

    tracks, rejects = scan(tmp_path / "m.csv")

    assert not rejects
    assert [track.location for track in tracks] == ["https://h/1", "https://h/2"]
    assert (tracks[0].columns["genre"], tracks[0].columns["comment"]) == values


@pytest.mark.parametrize(
    "line", ["https://h/1,r1,pop,ok,more", "https://h/1,r1,a,b,,c", "https://h/1,r1,rock, pop,ok"]
)
def test_a_row_with_values_beyond_its_columns_is_rejected_with_advice_that_fits(tmp_path, line):
    """dathere/qsv#2613: which value is in the wrong place, nobody can say."""
    (tmp_path / "m.csv").write_text(f"uri,track_id,genre,comment\n{line}\nhttps://h/2,r2\n")

    tracks, rejects = scan(tmp_path / "m.csv")

    assert [track.track_id for track in tracks] == ["r2"]
    assert [reject.code for reject in rejects] == [Code.BAD_ROW]
    assert "name the columns that are not in the header" in rejects[0].sentence


@pytest.mark.parametrize("length", [131_073, 150_000, 1_000_000, 5_000_000])
@pytest.mark.parametrize("form", ["quoted", "bare", "lines"])
def test_a_long_field_is_taken_whole(tmp_path, length, form):
    """nextstrain/augur#781, frictionlessdata/frictionless-py#914: lyrics, an analysis, artwork in base64."""
    value = ("la\n" if form == "lines" else "abc")[:3] * (length // 3)
    cell = value if form == "bare" else f'"{value}"'
    (tmp_path / "m.csv").write_text(f"uri,track_id,lyrics\nhttps://h/1,l1,{cell}\nhttps://h/2,l2,short\n")

    tracks, rejects = scan(tmp_path / "m.csv")

    assert not rejects
    assert [track.columns["lyrics"] for track in tracks] == [value, "short"]


STATED = {
    "sep=;": ";",
    "SEP=;": ";",
    "sep=,": ",",
    "sep=\t": "\t",
    "sep=|": "|",
    '"sep=;"': ";",
    "sep=;;;;": ";",
    "sep=; ": ";",
    "sep=^": "^",
    "Sep=:": ":",
    "sep=~": "~",
}


@pytest.mark.parametrize("start", ["", "\ufeff"], ids=["bare", "bom"])
@pytest.mark.parametrize("line", STATED)
def test_the_delimiter_that_excel_is_told_is_the_delimiter(tmp_path, line, start):
    """pandas-dev/pandas#47303: Excel writes the delimiter into the first line."""
    rows = [["path", "genre"], ["a.wav", "jazz"]]
    text = "\r\n".join([line, *(STATED[line].join(row) for row in rows), ""])
    (tmp_path / "m.csv").write_bytes(f"{start}{text}".encode())
    (tmp_path / "a.wav").write_bytes(b"x")

    tracks, rejects = scan(tmp_path / "m.csv")

    assert not rejects
    assert [(track.location, track.position, track.columns) for track in tracks] == [
        (f"{tmp_path}/a.wav", 1, {"genre": "jazz"})
    ]


PARTS = {
    "a folder": ("table", ["table/part-0.parquet", "table/part-1.parquet"]),
    "a folder of partitions": ("table", ["table/year=2023/a.parquet", "table/year=2024/a.parquet"]),
    "a glob": ("table/*.parquet", ["table/a.parquet", "table/b.parquet"]),
    "a deep glob": ("table/**/*.parquet", ["table/x/a.parquet", "table/y/z/b.parquet"]),
    "beside what Spark leaves": ("table", ["table/part-0.parquet", "table/part-1.parquet"]),
    "a folder with an odd name": ("my [table]*", ["my [table]*/a.parquet", "my [table]*/b.parquet"]),
    "upper case": ("table", ["table/A.PARQUET", "table/B.PARQUET"]),
    "one part": ("table", ["table/only.parquet"]),
    "a file with brackets": ("m[1].parquet", ["m[1].parquet"]),
    "odd part names": ("table", ["table/part?.parquet", "table/part[1].parquet"]),
}


@pytest.mark.parametrize("case", PARTS)
def test_parquet_in_parts_is_one_manifest(tmp_path, case):
    """Spark, Dask and pyarrow write a table as a folder."""
    manifest, files = PARTS[case]
    for number, name in enumerate(files):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        rows = {
            "uri": [f"https://h/{number}{row}" for row in range(3)],
            "n": [number * 10 + row for row in range(3)],
        }
        pq.write_table(pa.table(rows), tmp_path / name)
    if "Spark" in case:
        for name in ("_SUCCESS", "_metadata", ".part-0.parquet.crc", "_temporary.parquet"):
            (tmp_path / "table" / name).write_bytes(b"x")

    tracks, rejects = scan(tmp_path / manifest)

    assert not rejects
    assert sorted(track.location for track in tracks) == sorted(
        f"https://h/{number}{row}" for number in range(len(files)) for row in range(3)
    )
    assert [track.position for track in tracks] == list(range(1, 3 * len(files) + 1))
    assert scan(tmp_path / manifest) == (tracks, rejects)


def test_parts_may_have_other_columns_and_partitions_are_columns(tmp_path):
    """A column joined on the way; the partition's value stands in the folder's name alone."""
    for name, columns in {"year=2023": {}, "year=2024": {"mood": ["calm"]}}.items():
        (tmp_path / "t" / name).mkdir(parents=True)
        pq.write_table(
            pa.table({"uri": [f"https://h/{name}"], **columns}), tmp_path / "t" / name / "a.parquet"
        )

    tracks, _ = scan(tmp_path / "t")

    assert [(track.columns["mood"], track.columns["year"]) for track in tracks] == [
        (None, "2023"),
        ("calm", "2024"),
    ]


def test_parquet_parts_on_s3_are_one_manifest(s3_server, s3_client, bucket, tmp_path):
    """The same, on an object store."""
    for number in range(2):
        pq.write_table(pa.table({"uri": [f"https://h/{number}"]}), tmp_path / "a.parquet")
        s3_client.put_object(
            Bucket=bucket, Key=f"t/part-{number}.parquet", Body=(tmp_path / "a.parquet").read_bytes()
        )

    batches = list(
        scan_manifest(ManifestSource(f"s3://{bucket}/t", storage_options=s3_server.storage_options))
    )

    assert [track.location for batch in batches for track in batch.tracks] == ["https://h/0", "https://h/1"]


def test_a_timestamp_in_nanoseconds_keeps_what_it_says(tmp_path):
    """What pandas writes: whole microseconds stay a timestamp."""
    moment = pa.array([1_700_000_000_123_456_000], pa.timestamp("ns"))
    pq.write_table(pa.table({"uri": ["https://h/1"], "seen": moment}), tmp_path / "m.parquet")

    tracks, _ = scan(tmp_path / "m.parquet")

    assert tracks[0].columns["seen"] == datetime(2023, 11, 14, 22, 13, 20, 123_456)  # noqa: DTZ001 - it has no zone
