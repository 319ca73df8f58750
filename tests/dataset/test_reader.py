"""Whoever reads the dataset, without stemline, sees every row once and the partition columns among them."""

from __future__ import annotations

import uuid
from dataclasses import replace
from datetime import date

import duckdb
import pandas as pd
import polars as pl
import pyarrow as pa
import pyarrow.dataset as pads
import pyarrow.parquet as pq
import pytest

from stemline.dataset.layout import DatasetLayout
from stemline.dataset.parts import DatasetBatch, write_parts
from stemline.storage import open_store

IDS = ["a", "b/c", "ü 100%", "d"]
GENRES = ["C# major", None, "rock/pop=a%20b", "soul"]


@pytest.fixture(params=["provider,collected_on", "genre,released_on", "plays", ""])
def published(request, tmp_path, press, carried):
    """A dataset of two batches under each partitioning, and the columns it is partitioned by."""
    columns = tuple(filter(None, request.param.split(",")))
    layout = DatasetLayout(columns, carried)
    store = open_store(str(tmp_path / "stems"))
    rows = [press.row(name, genre=genre) for name, genre in zip(IDS, GENRES, strict=True)]
    write_parts(store, DatasetBatch("0001", "run-1", rows[:2]), layout)
    write_parts(store, DatasetBatch("0002", "run-1", rows[2:]), layout)
    return store, columns


def by_id(tracks, *columns):
    return {row["track_id"]: tuple(row[name] for name in columns) for row in tracks}


READERS = {
    "pandas": lambda url: (
        pd.read_parquet(url).astype(object).where(lambda table: table.notna(), None).to_dict("records")
    ),
    "pyarrow": lambda url: pads.dataset(url).to_table().to_pylist(),
    "pyarrow hive": lambda url: pads.dataset(url, partitioning="hive").to_table().to_pylist(),
    "duckdb": lambda url: duckdb.sql(f"FROM '{url}/**/*.parquet'").to_arrow_table().to_pylist(),
    "duckdb hive": lambda url: (
        duckdb.sql(f"FROM read_parquet('{url}/**/*.parquet', hive_partitioning=true)")
        .to_arrow_table()
        .to_pylist()
    ),
    "polars": lambda url: pl.read_parquet(f"{url}/**/*.parquet").to_dicts(),
    "polars hive": lambda url: pl.scan_parquet(url, hive_partitioning=True).collect().to_dicts(),
}


@pytest.mark.parametrize("reader", READERS)
def test_every_reader_sees_every_row_once_with_its_partition_columns(published, reader):
    store, columns = published

    tracks = READERS[reader](store.url("tracks"))
    stems = READERS[reader](store.url("stems"))

    assert len(tracks) == 4
    assert by_id(tracks, "genre", "artist", "plays", "released_on", "bpm", "manifest_bpm", "key") == {
        name: (genre, "Nina", 7, date(1964, 3, 1), 120.5, 99.0, "C# major")
        for name, genre in zip(IDS, GENRES, strict=True)
    }
    assert sorted((stem["track_id"], stem["stem"]) for stem in stems) == sorted(
        (name, stem) for name in IDS for stem in ("instrumental", "vocals")
    )
    assert by_id(stems, *columns) == by_id(tracks, *columns)


UNREAD = ("sample_rate", "channels", "frames", "size_bytes", "sha256")


@pytest.fixture
def linked(tmp_path, press):
    """A dataset with a part of the time when every stem had been measured, and one with a linked mix."""
    store = open_store(str(tmp_path / "stems"))
    old = write_parts(store, press.batch("a"), DatasetLayout(()))[0].key
    table = pq.read_table(store.url(old), partitioning=None)
    then = [each.with_nullable(each.nullable and each.name not in UNREAD) for each in table.schema]
    pq.write_table(table.cast(pa.schema(then)), store.url(old))
    row, unread = press.row("b"), dict.fromkeys(UNREAD)
    stem = row.collected.stems[0]
    mix = replace(stem, stem="mix", path="/music/b.flac", verification="linked", **unread)
    row = replace(
        row, collected=replace(row.collected, stems=(*row.collected.stems, mix)), source_sha256=None
    )
    write_parts(store, DatasetBatch("0002", "run-1", [row]), DatasetLayout(()))
    return store


@pytest.mark.parametrize("reader", READERS)
def test_every_reader_sees_a_linked_mix_beside_older_parts(linked, reader):
    stems = READERS[reader](linked.url("stems"))

    found = {(row["track_id"], row["stem"]): (row["frames"], row["sha256"]) for row in stems}
    assert found["b", "mix"] == (None, None)
    assert found["a", "vocals"] == found["b", "vocals"] == (110250, "cd" * 32)
    assert len(found) == 5


@pytest.mark.long
def test_hugging_face_datasets_sees_a_linked_mix_too(linked, tmp_path, monkeypatch):
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    import datasets  # noqa: PLC0415 - it reads the environment when it is imported

    files = f"{linked.url('stems')}/**/*.parquet"
    found = datasets.load_dataset(
        "parquet", data_files=files, split="train", cache_dir=str(tmp_path / "cache")
    )

    assert sorted(map(str, found["frames"])) == [*["110250"] * 4, "None"]


def test_hugging_face_datasets_sees_the_partition_columns(published, tmp_path, monkeypatch):
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    import datasets  # noqa: PLC0415 - it reads the environment when it is imported

    store, columns = published
    for table, count in (("tracks", 4), ("stems", 8)):
        found = datasets.load_dataset(
            "parquet",
            data_files=f"{store.url(table)}/**/*.parquet",
            split="train",
            cache_dir=str(tmp_path / "cache"),
        )

        assert found.num_rows == count
        assert set(columns) <= set(found.column_names)


def test_pandas_reads_it_back_from_memory(press, carried):
    url = f"memory://{uuid.uuid4().hex}/stems"
    write_parts(open_store(url), press.batch("a", "b"), DatasetLayout(carried=carried))

    assert sorted(pd.read_parquet(f"{url}/tracks")["track_id"]) == ["a", "b"]


def test_it_is_read_from_s3_with_the_same_options(s3_server, bucket, press, carried):
    store = open_store(f"s3://{bucket}/stems", s3_server.storage_options)
    layout = DatasetLayout(("key", "collected_on"), carried)

    tracks = write_parts(store, press.batch("a", "b"), layout)[1].key

    assert tracks.startswith("tracks/by_key=C%23%20major/")
    read = pd.read_parquet(store.url("tracks"), storage_options=store.storage_options)
    assert sorted(read["track_id"]) == ["a", "b"]
    assert set(read["key"]) == {"C# major"}
