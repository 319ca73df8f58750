"""The form `hf`, opened by the library it is for."""

from __future__ import annotations

import io
import json
import os
import subprocess
import sys

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import soundfile
import yaml
from support.ffmpeg_libraries import library_path
from support.sound_catalogue import SoundCatalogue

from stemline.export import hf
from stemline.export.exporting import export_dataset
from stemline.export.hf import HuggingFaceForm
from stemline.export.hub_features import AUDIO_TYPE, card_features, with_features
from stemline.export.options import ExportOptions

DECODING = """
import json, sys
from datasets import load_dataset
tracks = load_dataset(sys.argv[1], split="train", cache_dir=sys.argv[2])
found = {row["track_id"]: row["vocals"].get_all_samples() for row in tracks}
print(json.dumps({name: [*each.data.shape, each.sample_rate] for name, each in found.items()}))
"""


@pytest.fixture
def datasets(monkeypatch, tmp_path):
    monkeypatch.setenv("HF_HOME", str(tmp_path / "hf-home"))
    return pytest.importorskip("datasets")


def test_one_line_loads_every_stem_as_audio(export, tmp_path, datasets):
    export("hf", seconds=1.0)
    loaded = datasets.load_dataset(str(tmp_path / "hf"), cache_dir=str(tmp_path / "cache"))
    assert {split: len(rows) for split, rows in loaded.items()} == {"train": 9, "test": 3}
    rows = loaded["train"]
    assert isinstance(rows.features["vocals"], datasets.Audio)
    plain = datasets.Audio(decode=False)
    row = rows.cast_column("vocals", plain).cast_column("instrumental", plain)[1]
    assert (row["track_id"], row["start_seconds"], row["license"]) == ("anna", 1.0, "CC-BY-4.0")
    assert row["vocals"]["path"] == "anna=w000001.vocals.flac"
    assert soundfile.read(io.BytesIO(row["vocals"]["bytes"]))[0].shape == (8000, 2)


def test_audio_is_stored_as_it_is_in_small_row_groups(export, catalogue, tmp_path, monkeypatch):
    monkeypatch.setattr(hf, "GROUP_BYTES", 400_000)
    export("hf")
    (shard,) = tmp_path.glob("hf/data/train-*")
    assert shard.name == "train-00000-of-00001.parquet"
    with pq.ParquetFile(shard) as file:
        groups = [file.metadata.row_group(number) for number in range(file.num_row_groups)]
        audio = [
            group.column(number)
            for group in groups
            for number in range(group.num_columns)
            if group.column(number).path_in_schema.endswith(".bytes")
        ]
        row = file.read_row_group(0).slice(0, 1).to_pylist()[0]
    assert [group.num_rows for group in groups] == [2, 1]
    assert {(each.compression, each.has_dictionary_page, each.has_offset_index) for each in audio} == {
        ("UNCOMPRESSED", False, True)
    }
    assert row["vocals"] == {"bytes": catalogue.files["anna", "vocals"], "path": "anna.vocals.flac"}


@pytest.mark.long
def test_a_split_is_cut_into_shards_that_are_counted(export, tmp_path, monkeypatch):
    monkeypatch.setattr(HuggingFaceForm, "shard_bytes", 400_000)
    export("hf")
    assert [path.name for path in sorted(tmp_path.glob("hf/data/*"))] == [
        "test-00000-of-00001.parquet",
        "train-00000-of-00002.parquet",
        "train-00001-of-00002.parquet",
    ]


def test_the_features_in_file_and_card_are_those_of_the_library(datasets):
    schema = with_features(
        pa.schema(
            [
                *(("track_id", pa.string()), ("vocals", AUDIO_TYPE), ("n", pa.int32()), ("on", pa.date32())),
                *(("tags", pa.list_(pa.string())), ("price", pa.decimal128(9, 2))),
                ("at", pa.timestamp("us", tz="UTC")),
                ("who", pa.struct({"name": pa.string(), "ids": pa.list_(pa.int64())})),
                ("all", pa.list_(pa.struct({"x": pa.float64()}))),
            ]
        )
    )
    features = datasets.Features.from_arrow_schema(schema)
    assert features.arrow_schema.equals(schema)
    assert card_features(schema) == features._to_yaml_list()


def test_the_head_of_the_card_counts_what_is_in_the_files(export, tmp_path):
    export("hf")
    head = yaml.safe_load((tmp_path / "hf" / "README.md").read_text().split("---")[1])
    counts = {each["name"]: each["num_examples"] for each in head["dataset_info"]["splits"]}
    assert counts == {"test": 1, "train": 3}


@pytest.mark.long
def test_torchcodec_decodes_what_one_line_loads(export, tmp_path):
    pytest.importorskip("torchcodec")
    (tmp_path / "libraries").mkdir()
    libraries = library_path(tmp_path / "libraries")
    if not libraries:
        pytest.skip("PyAV brings no FFmpeg libraries here")
    export("hf")
    environment = {**os.environ, "LD_LIBRARY_PATH": libraries, "HF_HUB_OFFLINE": "1"}
    done = subprocess.run(
        [sys.executable, "-c", DECODING, str(tmp_path / "hf"), str(tmp_path / "cache")],
        env=environment,
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout) == {name: [2, 26_000, 8_000] for name in ("anna", "b.c", "dora")}


@pytest.mark.long
def test_it_streams_from_a_bucket(datasets, s3_server, bucket):
    catalogue = SoundCatalogue(f"s3://{bucket}/set", s3_server.storage_options)
    catalogue.publish("anna", "dora", split="train")
    export_dataset(catalogue.settings, ExportOptions("hf"), f"s3://{bucket}/out")
    rows = datasets.load_dataset(
        "parquet",
        data_files=f"s3://{bucket}/out/data/train-*.parquet",
        split="train",
        streaming=True,
        storage_options=s3_server.storage_options,
    )
    assert isinstance(rows.features["vocals"], datasets.Audio)
    plain = datasets.Audio(decode=False)
    found = list(rows.cast_column("vocals", plain).cast_column("instrumental", plain))
    assert [row["track_id"] for row in found] == ["anna", "dora"]
    assert found[1]["vocals"]["bytes"] == catalogue.files["dora", "vocals"]
