"""A manifest that cannot be used as a whole is refused with the fix."""

from __future__ import annotations

import gzip

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from stemline.errors import ManifestError
from stemline.manifest import ManifestSource
from stemline.manifest.scan import read_columns, scan_manifest


def refusal(manifest, **slice_):
    with pytest.raises(ManifestError) as caught:
        list(scan_manifest(ManifestSource(str(manifest), **slice_)))
    assert caught.value.fix
    assert "\n" not in str(caught.value)
    return str(caught.value)


def write(folder, name, data):
    (folder / name).write_bytes(data)
    return folder / name


def test_a_missing_manifest_is_named(tmp_path):
    assert f'"{tmp_path}/none.csv" does not exist' in refusal(tmp_path / "none.csv")


def test_a_missing_manifest_in_a_store_is_named(s3_server, bucket):
    assert "does not exist" in refusal(f"s3://{bucket}/none.csv", storage_options=s3_server.storage_options)


def test_wrong_credentials_are_not_taken_for_a_missing_manifest(s3_server, bucket):
    options = {**s3_server.storage_options, "secret": "wrong"}

    assert "cannot be reached" in refusal(f"s3://{bucket}/m.csv", storage_options=options)


@pytest.mark.parametrize(
    "manifest", ["nosuch://x/m.csv", "http://127.0.0.1:9/m.csv", "http://127.0.0.1:9/m.parquet"]
)
def test_a_manifest_out_of_reach_is_named(manifest):
    assert manifest in refusal(manifest)


@pytest.mark.parametrize("name", ["m.xlsx", "m.json", "m", "m.parquet.gz", "m.csv.zip"])
def test_an_unknown_form_lists_the_known_ones(tmp_path, name):
    assert "parquet" in refusal(write(tmp_path, name, b"uri\nhttps://h/1\n"))


@pytest.mark.parametrize(
    ("name", "data"),
    [
        ("m.csv", b""),
        ("m.csv", b"uri,title\n"),
        ("m.csv", b"uri\n\n\n"),
        ("m.jsonl", b"\n"),
        ("m.csv.gz", gzip.compress(b"uri\n", mtime=0)),
    ],
)
def test_a_manifest_without_rows_is_refused(tmp_path, name, data):
    assert "holds no rows" in refusal(write(tmp_path, name, data))


def test_a_folder_without_audio_is_refused(tmp_path):
    (tmp_path / "cover.jpg").write_bytes(b"x")

    assert "holds no audio files" in refusal(tmp_path)
    assert "holds no audio files" in refusal(f"{tmp_path}/*.mp3")


def test_without_a_location_column_the_columns_and_the_nearest_are_named(tmp_path):
    message = refusal(write(tmp_path, "m.csv", b"urls,title\nhttps://h/1,x\n"))

    assert "its columns are title, urls" in message
    assert 'If "urls" says where the audio is, add --set catalogue.columns.uri=urls.' in message


def test_without_a_location_column_in_parquet_too(tmp_path):
    pq.write_table(pa.table({"song": ["x"]}), tmp_path / "m.parquet")

    assert "its columns are song" in refusal(tmp_path / "m.parquet")
    with pytest.raises(ManifestError, match="its columns are song"):
        read_columns(ManifestSource(str(tmp_path / "m.parquet")))


def test_jsonl_without_one_object_says_what_is_wrong_with_its_first_line(tmp_path):
    assert "holds no rows that can be read. Row 1 is no JSON object; write one object a line." in refusal(
        write(tmp_path, "m.jsonl", b'[\n{"uri": "x"},\n]\n'.replace(b"{", b"[{"))
    )


@pytest.mark.parametrize(
    ("where", "words"),
    [
        ("artst = 'x'", 'there is no column "artst"'),
        ("title = ", "it ends too early"),
        ("nosuch(title)", "nosuch does not exist"),
        ("count(*) > 1", "aggregates"),
        ("title; DROP TABLE raw", "cannot be read at"),
        ("CAST(title AS INTEGER) = 1", "Could not convert string 'one'"),
    ],
)
def test_a_filter_that_does_not_work_is_quoted_with_the_reason_and_the_columns(tmp_path, where, words):
    message = refusal(write(tmp_path, "m.csv", b"uri,title\nhttps://h/1,one\n"), where=where)

    assert message.startswith(f'The filter "{where}" does not work')
    assert words in message
    assert "columns are uri, title" in message


@pytest.mark.parametrize(
    ("name", "data"),
    [
        ("m.parquet", b"PAR1 this is no parquet PAR1"),
        ("m.parquet", b""),
        ("m.csv.gz", b"no gzip at all"),
        ("m.csv.gz", gzip.compress(b"uri\n" + b"https://h/1\n" * 1000, mtime=0)[:-20]),
        ("m.csv", b"uri,t\xe4tle\nhttps://h/1,x\n"),
    ],
)
def test_damaged_manifests_are_refused_with_a_reason(tmp_path, name, data):
    path = write(tmp_path, name, data)

    assert str(path) in refusal(path)


def test_instants_out_of_all_range_are_refused_with_their_column(tmp_path):
    """ "Could not convert Timestamp(MS) to Timestamp(US)" alone names none of a hundred columns."""
    far = pa.array([10**13, 0], pa.timestamp("s"))
    near = pa.array([0, 1], pa.timestamp("s"))
    table = pa.table({"uri": ["https://h/a", "https://h/b"], "made": near, "heard": far})
    pq.write_table(table, tmp_path / "m.parquet")

    told = refusal(tmp_path / "m.parquet")

    assert 'Column "heard" holds instants out of all range: write it as text' in told
    assert "made" not in told


def test_what_is_relative_to_the_root_of_the_disk_is_named_as_it_lies(monkeypatch):
    monkeypatch.chdir("/")
    assert "looked for as /nowhere-at-all/Music," in refusal("nowhere-at-all/Music")
