"""Bad rows are named by row, code and sentence, and never stop the good ones."""

from __future__ import annotations

import json

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from stemline.manifest import ManifestSource
from stemline.manifest.scan import scan_manifest
from stemline.records import Code


def read(manifest, **slice_):
    batches = list(scan_manifest(ManifestSource(str(manifest), **slice_)))
    tracks = [track for batch in batches for track in batch.tracks]
    return tracks, [reject for batch in batches for reject in batch.rejects]


def write(folder, text, name="m.csv"):
    (folder / name).write_bytes(text if isinstance(text, bytes) else text.encode())
    return folder / name


def numbers(rows):
    return [getattr(row, "row", None) or row.position for row in rows]


BROKEN_LINES = {
    "too many values": "https://h/bad,x,y,z",
    "quote in the middle": 'https://h/bad,"se"ven",x',
    "quote that never closes": '"https://h/bad,x,y',
    "quote in the last value": 'https://h/bad,x,"y',
    "NUL bytes": "https://h/bad,\0,x",
}


@pytest.mark.parametrize("line", BROKEN_LINES.values(), ids=BROKEN_LINES.keys())
@pytest.mark.parametrize("newline", ["\n", "\r\n"], ids=["lf", "crlf"])
def test_a_broken_csv_line_costs_only_itself(tmp_path, line, newline):
    lines = [
        "uri,title,mood",
        'https://h/1,"two\nlines",x',
        line,
        "https://h/3,x,y",
        'https://h/4,"a, b",y',
        "",
    ]

    tracks, rejects = read(write(tmp_path, newline.join(lines)))

    assert [(track.position, track.location) for track in tracks] == [
        (1, "https://h/1"),
        (3, "https://h/3"),
        (4, "https://h/4"),
    ]
    assert [(reject.row, reject.code) for reject in rejects] == [(2, Code.BAD_ROW)]
    assert rejects[0].sentence.startswith("Row 2 ")


def test_an_open_quote_before_thousands_of_lines_costs_only_its_own(tmp_path):
    good = "".join(f"https://h/{n},some words to fill the line\n" for n in range(12_000))

    tracks, rejects = read(write(tmp_path, 'uri,title\nhttps://h/bad,"never closed\n' + good))

    assert numbers(rejects) == [1]
    assert len(tracks) == 12_000


def test_lines_that_are_not_utf_8_are_rejected_alone(tmp_path):
    tracks, rejects = read(
        write(tmp_path, "uri,title\nhttps://h/1,ä\n".encode() + b"https://h/2,\xe4\nhttps://h/3,x\n")
    )

    assert numbers(tracks) == [1, 3]
    assert [(reject.row, reject.code) for reject in rejects] == [(2, Code.BAD_ROW)]
    assert "UTF-8" in rejects[0].sentence


@pytest.mark.parametrize("line", ["{bad", "[1]", '"s"', "12", "null", '{"uri": "https://h/x"', "\x00", "{}}"])
def test_a_broken_json_line_costs_only_itself(tmp_path, line):
    text = f'{{"uri": "https://h/1"}}\n{line}\n\n{{"uri": "https://h/3"}}\n'

    tracks, rejects = read(write(tmp_path, text, "m.jsonl"))

    assert numbers(tracks) == [1, 3]
    assert [(reject.row, reject.code) for reject in rejects] == [(2, Code.BAD_ROW)]


def test_rows_without_a_location_are_rejected(tmp_path):
    tracks, rejects = read(write(tmp_path, "uri,track_id\n,a\n  ,b\nhttps://h/1,a\n"))

    assert [(reject.row, reject.code, reject.track_id) for reject in rejects] == [
        (1, Code.NO_LOCATION, "a"),
        (2, Code.NO_LOCATION, "b"),
    ]
    assert numbers(tracks) == [3]


class TestRepeatedIds:
    def test_the_first_wins_across_batches(self, tmp_path):
        rows = "".join(f"https://h/{n},id-{n % 15_000}\n" for n in range(15_003))

        tracks, rejects = read(write(tmp_path, "uri,track_id\n" + rows))

        assert len(tracks) == 15_000
        assert [(reject.row, reject.code) for reject in rejects] == [
            (row, Code.DUPLICATE_ID) for row in (15_001, 15_002, 15_003)
        ]
        assert 'repeats the track_id "id-0" of row 1;' in rejects[0].sentence

    def test_the_same_location_twice_is_the_same_track(self, tmp_path):
        (tmp_path / "a.mp3").write_bytes(b"x")

        _, rejects = read(write(tmp_path, f"path\na.mp3\n./a.mp3\nfile://{tmp_path}/a.mp3\n"))

        assert numbers(rejects) == [2, 3]

    def test_a_repeated_id_is_one_even_if_the_first_lies_outside_the_filter(self, tmp_path):
        manifest = write(tmp_path, "uri,track_id,n\nhttps://h/1,a,1\nhttps://h/2,a,2\n")

        assert [numbers(rows) for rows in read(manifest, where="n = 2")] == [[], [2]]
        assert [numbers(rows) for rows in read(manifest, where="n = 1")] == [[1], []]

    def test_parquet_is_searched_too(self, tmp_path):
        pq.write_table(
            pa.table({"uri": ["https://h/1", "https://h/2"], "track_id": [5, 5]}), tmp_path / "m.parquet"
        )

        assert numbers(read(tmp_path / "m.parquet")[1]) == [2]


def test_bad_durations_are_rejected(tmp_path):
    bad = ["-1", "0", "nan", "inf", "3:75", "3:4", "long"]
    rows = "".join(f"https://h/{n},{value}\n" for n, value in enumerate([*bad, "", "12.5", "1e2"]))

    tracks, rejects = read(write(tmp_path, "uri,duration_seconds\n" + rows))

    assert [track.duration_seconds for track in tracks] == [None, 12.5, 100.0]
    assert {reject.code for reject in rejects} == {Code.BAD_VALUE}
    assert all(f'"{value}"' in reject.sentence for value, reject in zip(bad, rejects, strict=True))


def test_bad_durations_in_parquet_are_rejected(tmp_path):
    values = [-1.0, float("nan"), 2.0, None]
    table = pa.table({"uri": [f"https://h/{n}" for n in range(4)], "duration_seconds": values})
    pq.write_table(table, tmp_path / "m.parquet")

    tracks, rejects = read(
        tmp_path / "m.parquet", where="coalesce(duration_seconds, 0) < 3 OR isnan(duration_seconds)"
    )

    assert numbers(rejects) == [1, 2]
    assert [track.duration_seconds for track in tracks] == [2.0, None]


def test_bad_priorities_are_rejected(tmp_path):
    rows = "".join(
        f"https://h/{n},{value}\n" for n, value in enumerate(["high", "1.5", "99999999999", "-3", "2.0", ""])
    )

    tracks, rejects = read(write(tmp_path, "uri,priority\n" + rows))

    assert numbers(rejects) == [1, 2, 3]
    assert [track.priority for track in tracks] == [-3, 2, 0]


def test_local_files_must_be_there_and_hold_something(tmp_path):
    (tmp_path / "empty.mp3").touch()
    (tmp_path / "folder").mkdir()
    (tmp_path / "good.mp3").write_bytes(b"x")

    tracks, rejects = read(
        write(tmp_path, "path\nnone.mp3\nempty.mp3\n./folder\ngood.mp3/x\ngood.mp3\n" + "n" * 300 + ".mp3\n")
    )

    assert [reject.code for reject in rejects] == [
        *(Code.MISSING_FILE, Code.EMPTY_FILE, Code.BAD_LOCATION, Code.MISSING_FILE, Code.MISSING_FILE)
    ]
    assert numbers(tracks) == [5]


def test_unusable_ids_are_rejected(tmp_path):
    ids = ["line\nbreak", "x" * 300, "fine id/with ünï"]
    lines = [json.dumps({"uri": f"https://h/{n}", "track_id": given}) for n, given in enumerate(ids)]

    tracks, rejects = read(write(tmp_path, "\n".join(lines), "m.jsonl"))

    assert [reject.code for reject in rejects] == [Code.BAD_VALUE, Code.BAD_VALUE]
    assert [track.track_id for track in tracks] == [ids[2]]


class TestSlices:
    TEXT = "uri,n\nhttps://h/1,1\nbroken,0,0\nhttps://h/3,3\n,4\nhttps://h/5,5\nbroken,0,0\n"

    def test_lines_that_do_not_parse_are_rejected_whatever_the_filter(self, tmp_path):
        tracks, rejects = read(write(tmp_path, self.TEXT), where="n >= 4")

        assert (numbers(tracks), numbers(rejects)) == ([5], [2, 4, 6])

    def test_with_a_limit_only_those_before_the_last_row(self, tmp_path):
        tracks, rejects = read(write(tmp_path, self.TEXT), limit=2)

        assert (numbers(tracks), numbers(rejects)) == ([1, 3], [2])

    def test_a_limit_counts_bad_rows_too(self, tmp_path):
        tracks, rejects = read(write(tmp_path, self.TEXT), where="n >= 3", limit=2)

        assert (numbers(tracks), numbers(rejects)) == ([3], [2, 4])
