"""The form `webdataset`, as a tar and opened by the library it is for."""

from __future__ import annotations

import json
import tarfile

import fsspec
import pyarrow as pa
import pytest
from support.sound_catalogue import SoundCatalogue

from stemline.export.exporting import export_dataset
from stemline.export.options import ExportOptions
from stemline.export.webdataset import WebDatasetForm


def test_a_tar_tells_of_no_moment_and_nobody(export, tmp_path):
    export("webdataset")
    with tarfile.open(tmp_path / "webdataset" / "train-000000.tar") as file:
        found = list(file)
    assert [info.name for info in found[:3]] == ["anna.instrumental.flac", "anna.vocals.flac", "anna.json"]
    assert {(info.mtime, info.uid, info.gid, info.uname, info.gname) for info in found} == {(0, 0, 0, "", "")}
    assert all(info.name.partition(".")[0] in {"anna", "b=2Ec", "dora"} for info in found)


def test_the_json_has_the_metadata_and_what_was_measured(export, tmp_path):
    export("webdataset", split="test")
    with tarfile.open(tmp_path / "webdataset" / "test-000000.tar") as file:
        told = json.load(file.extractfile("emil.json"))
    assert (told["track_id"], told["bpm"], told["split"]) == ("emil", 120.5, "test")
    assert told["stems"]["vocals"]["silent_share"] == 0.0
    assert told["stems"]["vocals"]["sample_rate"] == 8000
    assert "source_uri" not in told


def test_carried_columns_keep_their_values_beside_those_of_a_window(export, catalogue, tmp_path):
    catalogue.carried = pa.schema({"window": pa.string(), "start_seconds": pa.int64()})
    catalogue.publish("odd", split="odd", window="bay", start_seconds=7)
    export("webdataset", split="odd", seconds=1.0)
    with tarfile.open(tmp_path / "webdataset" / "odd-000000.tar") as file:
        told = json.load(file.extractfile("odd=w000001.json"))
    assert (told["window"], told["start_seconds"]) == (1, 1.0)
    assert (told["manifest_window"], told["manifest_start_seconds"]) == ("bay", 7)


def test_the_list_of_shards_counts_samples_and_bytes(export, tmp_path, monkeypatch):
    monkeypatch.setattr(WebDatasetForm, "shard_tracks", 2)
    export("webdataset")
    told = json.loads((tmp_path / "webdataset" / "shards.json").read_bytes())["shardlist"]
    assert [(each["url"], each["nsamples"]) for each in told] == [
        ("test-000000.tar", 1),
        ("train-000000.tar", 2),
        ("train-000001.tar", 1),
    ]
    assert all((tmp_path / "webdataset" / each["url"]).stat().st_size == each["filesize"] for each in told)


@pytest.mark.long
def test_webdataset_reads_every_sample_of_a_brace_pattern(export, catalogue, tmp_path, monkeypatch):
    wds = pytest.importorskip("webdataset")
    monkeypatch.setattr(WebDatasetForm, "shard_tracks", 2)
    export("webdataset")
    pattern = str(tmp_path / "webdataset" / "train-{000000..000001}.tar")
    found = {each["__key__"]: each for each in wds.WebDataset(pattern, shardshuffle=False)}
    assert list(found) == ["anna", "b=2Ec", "dora"]
    assert found["b=2Ec"]["vocals.flac"] == catalogue.files["b.c", "vocals"]
    assert json.loads(found["dora"]["json"])["track_id"] == "dora"


@pytest.mark.long
def test_webdataset_reads_from_a_bucket_through_fsspec(s3_server, bucket, monkeypatch):
    wds = pytest.importorskip("webdataset")
    catalogue = SoundCatalogue(f"s3://{bucket}/set", s3_server.storage_options)
    catalogue.publish("anna", "dora", split="train")
    export_dataset(catalogue.settings, ExportOptions("webdataset"), f"s3://{bucket}/out")
    monkeypatch.setitem(
        wds.gopen_schemes,
        "s3",
        lambda url, mode="rb", *_, **__: fsspec.open(url, mode, **s3_server.storage_options).open(),
    )
    found = list(wds.WebDataset(f"s3://{bucket}/out/train-000000.tar", shardshuffle=False))
    assert [each["__key__"] for each in found] == ["anna", "dora"]
    assert found[1]["vocals.flac"] == catalogue.files["dora", "vocals"]
