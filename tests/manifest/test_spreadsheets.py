"""Manifests as office programs leave them: what is no row, what is another encoding, what is too much."""

from __future__ import annotations

from collections import Counter

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from stemline.errors import ConfigError, ManifestError
from stemline.manifest import ManifestSource
from stemline.manifest.passed_over import passed_over_sentence, passed_over_tree
from stemline.manifest.scan import scan_manifest
from stemline.records import Code


def scan(path, **options):
    """Tracks, rejects, and what was passed over."""
    batches = list(scan_manifest(ManifestSource(str(path), **options)))
    return (
        [track for batch in batches for track in batch.tracks],
        [reject for batch in batches for reject in batch.rejects],
        sum((batch.passed_over for batch in batches), Counter()),
    )


def write(folder, name, content):
    path = folder / name
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return path


@pytest.mark.parametrize("broken", ["", '3;"open\n'])
def test_lines_without_a_value_are_no_rows_and_the_others_keep_their_numbers(tmp_path, broken):
    text = "uri;title;price\nhttps://h/1;a;1,50\n;;\nhttps://h/2;b;\n ; ;\n" + broken + ";;\n"

    tracks, rejects, passed_over = scan(write(tmp_path, "m.csv", text))

    assert [track.position for track in tracks] == [1, 3]
    assert [reject.code for reject in rejects] == ([Code.BAD_ROW] if broken else [])
    assert passed_over == {"empty rows": 3}
    assert passed_over_sentence(passed_over) == "3 empty rows were passed over"
    assert passed_over_tree(passed_over) == {"passed_over": 0, "passed_over_kinds": {"empty rows": 3}}


def test_a_row_that_lacks_its_location_alone_is_still_told(tmp_path):
    _, (reject,), passed_over = scan(write(tmp_path, "m.csv", "uri,title\nhttps://h/1,a\n,Summe\n"))

    assert (reject.code, passed_over) == (Code.NO_LOCATION, {})


def test_nothing_but_empty_lines_is_no_manifest(tmp_path):
    with pytest.raises(ManifestError, match="holds no rows"):
        scan(write(tmp_path, "m.csv", "uri;title\n;\n;\n"))


@pytest.mark.parametrize("encoding", ["utf-16-le", "utf-16-be", "utf-32", "utf-32-le", "utf-32-be"])
def test_text_in_another_encoding_is_told_as_that(tmp_path, encoding):
    path = write(tmp_path, "m.csv", "uri,title\nhttps://h/1,a\n".encode(encoding))

    with pytest.raises(ManifestError, match=r"is not UTF-8 text\. Save it as UTF-8"):
        scan(path)


def test_a_cell_that_is_too_long_is_told_as_that(tmp_path):
    path = write(tmp_path, "m.csv", f'uri,big\nhttps://h/1,"{"x" * 9_000_000}"\nhttps://h/2,y\n')

    tracks, (reject,), _ = scan(path)
    assert [track.location for track in tracks] == ["https://h/2"]
    assert reject.sentence == "Row 1 has a cell of more than 8 MiB, or a quote that never closes."


def test_objects_that_nest_too_deeply_are_told_alone_and_all_together(tmp_path):
    deep = '{"uri": "https://h/1", "a": ' + "[" * 300 + "]" * 300 + "}\n"

    tracks, (reject,), _ = scan(write(tmp_path, "m.jsonl", deep + '{"uri": "https://h/2"}\n'))
    assert (len(tracks), reject.sentence) == (
        1,
        "Row 1 has lists or objects nested more than 100 deep.",
    )
    with pytest.raises(
        ManifestError, match=r"holds no rows that can be read\. Row 1 has lists or objects nested"
    ):
        scan(write(tmp_path, "all.jsonl", deep * 2))


def test_half_a_character_costs_its_own_row(tmp_path):
    lines = r'{"uri": "https://h/1", "title": "\ud800"}', r'{"uri": "https://h/2", "title": "\ud83c\udfb5"}'

    tracks, (reject,), _ = scan(write(tmp_path, "m.jsonl", "\n".join(lines)))
    assert reject.sentence == r"Row 1 holds half a character (\ud800): write the whole, or leave it out."
    assert [track.columns["title"] for track in tracks] == ["🎵"]


def test_rows_of_one_file_without_ids_of_their_own_are_told_as_that(tmp_path):
    text = "uri,track_id\nhttps://h/1,\nhttps://h/1,\nhttps://h/2,x\nhttps://h/3,x\n"

    _, rejects, _ = scan(write(tmp_path, "m.csv", text))
    assert [reject.sentence for reject in rejects] == [
        "Row 2 names the same file as row 1: drop it.",
        'Row 4 repeats the track_id "x" of row 3; give every row its own.',
    ]


def test_a_mistyped_column_of_types_is_refused_with_the_nearest(tmp_path):
    path = write(tmp_path, "m.csv", "uri,upc\nhttps://h/1,00123\n")

    with pytest.raises(ConfigError, match=r'catalogue\.types names "ucp".*the nearest is "upc"'):
        scan(path, types={"ucp": "text"})
    assert scan(path, types={"UPC": "text"})[0][0].columns == {"upc": "00123"}


def test_a_word_alone_is_the_file_of_that_name(tmp_path):
    write(tmp_path, "noext", b"x")

    tracks, (reject,), _ = scan(write(tmp_path, "m.csv", "uri\nnoext\nnosuch\n"))
    assert [track.location for track in tracks] == [str(tmp_path / "noext")]
    assert (reject.row, reject.code) == (2, Code.BAD_LOCATION)


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("noext", "its name has no ending"),
        ("a.xlsx", "its name ends in .xlsx"),
        ("a.mp3", "it is an audio file"),
    ],
)
def test_a_file_that_is_no_manifest_says_what_it_is(tmp_path, name, words):
    with pytest.raises(ManifestError, match=words):
        scan(write(tmp_path, name, b"x"))


@pytest.mark.parametrize(
    ("name", "words"), [("m.csv", "nothing listens there"), ("m.parquet", "nothing answers there")]
)
def test_a_manifest_that_does_not_answer_is_out_of_reach(free_port, name, words):
    with pytest.raises(ManifestError, match=f"cannot be reached: {words}"):
        scan(f"http://127.0.0.1:{free_port}/{name}")


def test_a_location_column_of_bytes_is_told_as_that(tmp_path):
    pq.write_table(pa.table({"uri": [b"https://h/1"]}), tmp_path / "m.parquet")

    with pytest.raises(ManifestError, match=r'The column "uri" .* is binary, and locations are text'):
        scan(tmp_path / "m.parquet")
