"""Manifests of every form become tracks, with their own columns carried through."""

from __future__ import annotations

import gzip
import json
from datetime import date
from decimal import Decimal

import fsspec
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from stemline.manifest import ManifestSource
from stemline.manifest.scan import ManifestBatch, read_columns, scan_manifest
from stemline.records import Code, Reject, Track


def read(manifest, **slice_) -> tuple[list[Track], list[Reject]]:
    batches = list(scan_manifest(ManifestSource(str(manifest), **slice_)))
    assert all(batch.rows == len(batch.tracks) + len(batch.rejects) for batch in batches)
    tracks = [track for batch in batches for track in batch.tracks]
    return tracks, [reject for batch in batches for reject in batch.rejects]


@pytest.fixture
def folder(tmp_path):
    for name in ("a.mp3", "b.mp3", "c d.flac", "ünïcode.wav"):
        (tmp_path / name).write_bytes(b"audio")
    return tmp_path


def write(folder, name, text, encoding="utf-8"):
    path = folder / name
    data = text.encode(encoding)
    path.write_bytes(gzip.compress(data, mtime=0) if name.lower().endswith(".gz") else data)
    return path


ROWS = [
    {"uri": "https://host/a.mp3", "track_id": "001", "artist": "311", "duration_seconds": 61.5, "plays": 7},
    {"uri": "s3://music/b.flac", "track_id": "002", "artist": "Björk", "duration_seconds": None, "plays": 8},
]
CSV = "uri,track_id,artist,duration_seconds,plays\nhttps://host/a.mp3,001,311,61.5,7\ns3://music/b.flac,002,Björk,,8\n"
JSONL = "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in ROWS)


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("catalogue.csv", CSV),
        ("CATALOGUE.CSV", CSV),
        ("catalogue.csv.gz", CSV),
        ("catalogue.Csv.GZ", CSV),
        ("semicolons.csv", CSV.replace(",", ";")),
        ("tabs.tsv", CSV.replace(",", "\t")),
        ("tabs.tsv.gz", CSV.replace(",", "\t")),
        ("crlf.csv", CSV.replace("\n", "\r\n")),
        ("bom.csv", "\ufeff" + CSV),
        ("empty lines.csv", "\n" + CSV.replace("\n", "\n\n")),
        ("catalogue.jsonl", JSONL),
        ("catalogue.ndjson.gz", JSONL),
        ("bom.jsonl", "\ufeff" + JSONL.replace("\n", "\r\n\r\n")),
    ],
)
@pytest.mark.long
def test_text_forms_give_the_same_tracks(tmp_path, name, text):
    tracks, rejects = read(write(tmp_path, name, text))

    assert rejects == []
    assert tracks == [
        Track("001", "https://host/a.mp3", 1, 0, 61.5, None, {"artist": "311", "plays": 7}),
        Track("002", "s3://music/b.flac", 2, 0, None, None, {"artist": "Björk", "plays": 8}),
    ]


def test_utf_16_with_a_byte_order_mark_is_read(tmp_path):
    tracks, _ = read(write(tmp_path, "excel.csv", CSV, encoding="utf-16"))

    assert [track.columns["artist"] for track in tracks] == ["311", "Björk"]


def test_parquet_values_are_carried_through_as_they_are(tmp_path):
    values = {
        "released_on": date(2024, 2, 29),
        "fee": Decimal("1.10"),
        "tags": ["rock", None],
        "credits_list": [{"role": "mix", "names": ["A", "B"]}],
        "bytes": b"\x00\xff",
        "file_row_number": 9,
    }
    pq.write_table(pa.Table.from_pylist([{"URI": "https://h/a", **values}]), tmp_path / "m.PARQUET")

    (track,), _ = read(tmp_path / "m.PARQUET")

    assert track.columns == values
    assert track.position == 1


def test_numbers_as_ids_become_text(tmp_path):
    pq.write_table(
        pa.table({"url": ["https://h/a"], "track_id": [7], "isrc": ["00123"]}), tmp_path / "m.parquet"
    )

    (track,), _ = read(tmp_path / "m.parquet")

    assert (track.track_id, track.columns) == ("7", {"isrc": "00123"})


def test_csv_columns_are_typed_only_where_every_value_survives(tmp_path):
    text = (
        "uri,isrc,catalogue_no,plays,gain,on,at,is_live,mixed,empty\n"
        "https://h/1,00123,007,1,-9.5,2024-01-02,2024-01-02 03:04:05,true,1,\n"
        "https://h/2,456,8,22,0.25,2023-12-31,2024-01-02 03:04:06,false,x,\n"
    )

    tracks, _ = read(write(tmp_path, "m.csv", text))
    schema = read_columns(ManifestSource(str(tmp_path / "m.csv")))

    assert [type(value).__name__ for value in tracks[0].columns.values()] == [
        *("str", "str", "int", "float", "date", "datetime", "bool", "str", "NoneType")
    ]
    assert [track.columns["isrc"] for track in tracks] == ["00123", "456"]
    assert [track.columns["catalogue_no"] for track in tracks] == ["007", "8"]
    assert schema.field("plays").type == pa.int64()
    assert schema.field("on").type == pa.date32()
    assert schema.field("catalogue_no").type == pa.string()


def test_json_members_of_mixed_types_are_text_and_absent_ones_null(tmp_path):
    rows = [
        {"uri": "https://h/1", "mixed": 1, "n": 1, "deep": {"a": [1]}, "isrc": 12, "plain": {}},
        {"uri": "https://h/2", "mixed": "x", "n": 2.5, "deep": {"b": None}, "nothing": None},
    ]

    tracks, _ = read(write(tmp_path, "m.jsonl", "\n".join(map(json.dumps, rows))))

    assert [track.columns["mixed"] for track in tracks] == ["1", "x"]
    assert [track.columns["n"] for track in tracks] == [1.0, 2.5]
    assert [track.columns["deep"] for track in tracks] == [{"a": [1], "b": None}, {"a": None, "b": None}]
    assert [track.columns["isrc"] for track in tracks] == ["12", None]
    assert [track.columns["nothing"] for track in tracks] == [None, None]


def test_known_columns_go_under_their_own_names_whatever_their_case(tmp_path):
    text = "Title,URL,Track_ID,Duration_Seconds,PRIORITY,Mood\nOne,https://h/1,x,3,5,calm\n"

    (track,), _ = read(write(tmp_path, "m.csv", text))

    assert track == Track("x", "https://h/1", 1, 5, 3.0, None, {"title": "One", "Mood": "calm"})


def test_unnamed_and_repeated_csv_columns_are_kept_apart(tmp_path):
    (track,), _ = read(write(tmp_path, "m.csv", ",uri,tag,Tag,tag\n0,https://h/1,a,b,c\n"))

    assert track.columns == {"column_1": 0, "tag": "a", "Tag_4": "b", "tag_5": "c"}


def test_the_first_location_name_wins_and_the_others_are_carried_through(tmp_path):
    (track,), _ = read(write(tmp_path, "m.csv", "path,uri\nx.mp3,https://h/1\n"))

    assert (track.location, track.columns) == ("https://h/1", {"path": "x.mp3"})


def test_relative_paths_start_at_the_manifest(folder):
    tracks, rejects = read(
        write(folder, "m.csv", f"path\na.mp3\n./b.mp3\nc d.flac\nünïcode.wav\n{folder}/a.mp3\n")
    )

    assert [track.location for track in tracks] == [
        f"{folder}/{name}" for name in ("a.mp3", "b.mp3", "c d.flac", "ünïcode.wav")
    ]
    assert [track.size_bytes for track in tracks] == [5, 5, 5, 5]
    assert [(reject.row, reject.code) for reject in rejects] == [(5, Code.DUPLICATE_ID)]


def test_relative_paths_of_a_manifest_in_a_store_lie_in_the_store():
    fsspec.filesystem("memory").pipe("/cat/m.csv", b"path\na/b.mp3\nhttps://h/1\n")

    tracks, _ = read("memory://cat/m.csv")

    assert [track.location for track in tracks] == ["memory:///cat/a/b.mp3", "https://h/1"]


def test_an_id_is_a_digest_of_the_location(tmp_path):
    write(tmp_path, "one.csv", "uri\nhttps://h/1\nhttps://h/2\n")
    write(tmp_path, "two.jsonl", '{"x": 1, "uri": "https://h/2", "track_id": ""}')

    (first, second), _ = read(tmp_path / "one.csv")
    (again,), _ = read(tmp_path / "two.jsonl")

    assert first.track_id.startswith("t-")
    assert len(first.track_id) == 18
    assert first.track_id != second.track_id == again.track_id


class TestSlices:
    @pytest.fixture
    def manifest(self, tmp_path):
        rows = "".join(f"https://h/{n},{n},2024-01-{n:02d}\n" for n in range(1, 31))
        return write(tmp_path, "m.csv", "uri,n,released_on\n" + rows)

    def test_where_keeps_the_rows_own_numbers(self, manifest):
        tracks, _ = read(manifest, where="n % 10 = 0 -- every tenth")

        assert [track.position for track in tracks] == [10, 20, 30]

    def test_where_sees_dates(self, manifest):
        tracks, _ = read(manifest, where="released_on >= '2024-01-29' AND released_on < DATE '2024-01-31'")

        assert [track.columns["n"] for track in tracks] == [29, 30]

    def test_limit_is_taken_after_where(self, manifest):
        tracks, _ = read(manifest, where="n > 10", limit=3)

        assert [track.position for track in tracks] == [11, 12, 13]

    def test_a_filter_that_selects_nothing_gives_nothing(self, manifest):
        assert read(manifest, where="n > 99") == ([], [])

    def test_parquet_rows_keep_their_numbers_too(self, tmp_path):
        table = pa.table({"uri": [f"https://h/{n}" for n in range(100)], "n": range(100)})
        pq.write_table(table, tmp_path / "m.parquet", row_group_size=7)

        tracks, _ = read(tmp_path / "m.parquet", where="n in (3, 50, 99)")

        assert [track.position for track in tracks] == [4, 51, 100]


def test_many_rows_come_in_order_and_in_batches(tmp_path):
    rows = "".join(f"https://h/{n},{n}\n" for n in range(25_000))
    manifest = write(tmp_path, "m.csv", "uri,n\n" + rows)

    batches = list(scan_manifest(ManifestSource(str(manifest))))

    assert max(batch.rows for batch in batches) <= 10_000
    assert [track.columns["n"] for batch in batches for track in batch.tracks] == list(range(25_000))
    assert [track.position for batch in batches for track in batch.tracks] == list(range(1, 25_001))


def test_a_scan_can_be_left_early(tmp_path):
    manifest = write(tmp_path, "m.csv", "uri\n" + "".join(f"https://h/{n}\n" for n in range(25_000)))

    batches = scan_manifest(ManifestSource(str(manifest)))
    first = next(batches)
    batches.close()

    assert isinstance(first, ManifestBatch)
    assert len(first.tracks) > 0


class TestListing:
    @pytest.fixture
    def music(self, tmp_path):
        for name in ("b/2.MP3", "a/1.flac", "a/cover.jpg", "a/._1.flac", "3.wav", "b/empty.ogg"):
            path = tmp_path / "music [live]" / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(b"" if "empty" in name else b"audio")
        return tmp_path / "music [live]"

    def test_a_folder_gives_its_audio_files_in_order(self, music):
        tracks, rejects = read(music)

        assert [track.location for track in tracks] == [
            f"{music}/{name}" for name in ("3.wav", "a/1.flac", "b/2.MP3")
        ]
        assert {track.size_bytes for track in tracks} == {5}
        assert [(reject.code, reject.location) for reject in rejects] == [
            (Code.EMPTY_FILE, f"{music}/b/empty.ogg")
        ]

    def test_a_glob_selects_among_them(self, music):
        live = str(music).replace("[", "?").replace("]", "?")

        tracks, _ = read(f"{live}/**/*.[fM]*")

        assert [track.location for track in tracks] == [f"{music}/a/1.flac", f"{music}/b/2.MP3"]

    def test_a_listing_can_be_filtered_and_has_no_other_columns(self, music):
        tracks, _ = read(music, where="uri LIKE '%.flac'")

        assert [track.columns for track in tracks] == [{}]
        assert len(read_columns(ManifestSource(str(music)))) == 0


class TestStores:
    @pytest.mark.parametrize("name", ["m.csv", "m.csv.gz", "m.jsonl"])
    def test_text_manifests_on_s3_are_read(self, s3_server, bucket, name):
        text = (JSONL if "jsonl" in name else CSV).encode()
        data = gzip.compress(text, mtime=0) if name.endswith(".gz") else text
        fsspec.filesystem("s3", **s3_server.storage_options).pipe(f"{bucket}/in/{name}", data)

        tracks, _ = read(f"s3://{bucket}/in/{name}", storage_options=s3_server.storage_options)

        assert [track.track_id for track in tracks] == ["001", "002"]

    @pytest.mark.long
    def test_parquet_on_s3_is_read_with_a_filter(self, s3_server, bucket, tmp_path):
        pq.write_table(pa.Table.from_pylist(ROWS), tmp_path / "m.parquet")
        fsspec.filesystem("s3", **s3_server.storage_options).put(
            str(tmp_path / "m.parquet"), f"{bucket}/m.parquet"
        )

        tracks, _ = read(
            f"s3://{bucket}/m.parquet", storage_options=s3_server.storage_options, where="plays = 8"
        )

        assert [track.position for track in tracks] == [2]

    def test_a_prefix_on_s3_is_listed_with_sizes(self, s3_server, bucket):
        s3 = fsspec.filesystem("s3", **s3_server.storage_options)
        s3.pipe({f"{bucket}/music/x/{name}": b"12345" for name in ("a.mp3", "b c.flac", "notes.txt")})

        tracks, _ = read(f"s3://{bucket}/music", storage_options=s3_server.storage_options)

        assert [(track.location, track.size_bytes) for track in tracks] == [
            (f"s3://{bucket}/music/x/a.mp3", 5),
            (f"s3://{bucket}/music/x/b c.flac", 5),
        ]
