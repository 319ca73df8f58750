"""Who has no stemline reads the live tables and a release alike, on the local disk and on S3."""

from __future__ import annotations

import duckdb
import pandas as pd
import polars as pl
import pyarrow.compute as pc
import pyarrow.dataset as pads
import pytest
import s3fs
from support.released_dataset import ReleasedDataset

from stemline.dataset.card import tell_change, write_dataset_card


def hugging_face():
    import datasets  # noqa: PLC0415 - it reads the environment when it is imported

    return datasets


@pytest.fixture(autouse=True)
def offline(monkeypatch):
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")


@pytest.fixture(scope="module", params=["local", "s3"])
def released(request, tmp_path_factory):
    """A dataset with a release of all that is live."""
    if request.param == "local":
        dataset = ReleasedDataset(str(tmp_path_factory.mktemp("readers") / "stems"))
    else:
        server, client = request.getfixturevalue("s3_server"), request.getfixturevalue("s3_client")
        client.create_bucket(Bucket="readers-of-a-release")
        dataset = ReleasedDataset("s3://readers-of-a-release/stems", server.storage_options)
    dataset.publish("c", "d", day=1)
    dataset.publish("a", day=1, genre=None)
    dataset.publish("b", day=2)
    write_dataset_card(dataset.store)
    dataset.release("v1")
    return dataset


def _pandas(url, options):
    return pd.read_parquet(url, storage_options=options or None).to_dict("records")


def _files(url, options):
    """Give a folder as pyarrow takes it."""
    return (url.removeprefix("s3://"), s3fs.S3FileSystem(**options)) if options else (url, None)


def _pyarrow(url, options):
    path, filesystem = _files(url, options)
    return pads.dataset(path, filesystem=filesystem, partitioning="hive").to_table().to_pylist()


def _duckdb(url, options):
    with duckdb.connect() as connection:
        if options:
            connection.register_filesystem(s3fs.S3FileSystem(**options))
        query = f"FROM read_parquet('{url}/**/*.parquet', hive_partitioning = true)"
        return connection.sql(query).to_arrow_table().to_pylist()


def _polars(url, options):
    names = {
        "key": "aws_access_key_id",
        "secret": "aws_secret_access_key",
        "endpoint_url": "aws_endpoint_url",
    }
    given = {names[name]: value for name, value in options.items()}
    more = {"aws_region": "us-east-1", "aws_allow_http": "true"} if options else {}
    frame = pl.scan_parquet(f"{url}/**/*.parquet", storage_options={**given, **more} or None)
    return frame.collect().to_dicts()


def _datasets(url, options, cache):
    how = {"split": "train", "cache_dir": cache, "data_files": f"{url}/**/*.parquet"}
    if options:  # it streams from a store; what it would download it asks for as if it were on the web
        how |= {"streaming": True, "storage_options": dict(options)}
    return list(hugging_face().load_dataset("parquet", **how))


READERS = {
    "pandas": _pandas,
    "pyarrow": _pyarrow,
    "duckdb": _duckdb,
    "polars": _polars,
    "datasets": _datasets,
}


@pytest.mark.parametrize("reader", READERS)
@pytest.mark.parametrize("place", ["", "releases/v1/"])
@pytest.mark.long
def test_every_reader_sees_every_row_once(released, place, reader, tmp_path):
    more = (str(tmp_path),) if reader == "datasets" else ()
    for table, expected in (("tracks", 4), ("stems", 8), ("activity", 8)):
        rows = READERS[reader](released.store.url(f"{place}{table}"), released.storage_options, *more)
        seen = [(row["track_id"], row.get("stem")) for row in rows]
        assert len(seen) == len(set(seen)) == expected
        assert {row["provider"] for row in rows} == {"local"}


@pytest.mark.parametrize("place", ["", "releases/v1/"])
def test_pyarrow_opens_only_the_parts_of_the_partition_that_is_asked_for(released, place):
    path, filesystem = _files(released.store.url(f"{place}tracks"), released.storage_options)
    dataset = pads.dataset(path, filesystem=filesystem, partitioning="hive")

    wanted = pc.field("by_collected_on") == "2026-11-02"

    assert len(list(dataset.get_fragments(filter=wanted))) == 1
    assert dataset.to_table(filter=wanted)["track_id"].to_pylist() == ["b"]


def test_datasets_gives_what_is_there_now_and_not_what_it_keeps_of_another_folder_of_this_name(tmp_path):
    def loaded(folder):
        cache = str(tmp_path / "cache")
        return hugging_face().load_dataset(folder, "tracks", split="train", cache_dir=cache)["track_id"]

    for place, names in (("one", "ab"), ("two", "c")):
        dataset = ReleasedDataset(str(tmp_path / place / "stems"))
        write_dataset_card(dataset.store)
        dataset.publish(*names)
        dataset.release("v1")
        assert list(loaded(dataset.store.url())) == list(loaded(dataset.store.url("releases/v1"))) == [*names]
    dataset.publish("d")
    tell_change(dataset.store)
    assert sorted(loaded(dataset.store.url())) == ["c", "d"]


@pytest.mark.parametrize("place", ["", "releases/v1"])
def test_datasets_loads_a_folder_by_the_names_of_its_tables(dataset, place, tmp_path):
    dataset.publish("a", "b")
    write_dataset_card(dataset.store)
    dataset.release("v1")
    folder = dataset.store.url(place)

    for name, count in (("tracks", 2), ("stems", 4), ("activity", 4)):
        loaded = hugging_face().load_dataset(folder, name, split="train", cache_dir=str(tmp_path / "cache"))
        assert loaded.num_rows == count
        assert ("stem" in loaded.column_names) == (name != "tracks")
    assert hugging_face().get_dataset_config_names(folder) == ["tracks", "stems", "activity"]
