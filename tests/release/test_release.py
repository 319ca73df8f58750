"""A release holds exactly what was published at one moment, says so, and is there whole or not at all."""

from __future__ import annotations

import hashlib
import uuid
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from support.released_dataset import CARRIED, ReleasedDataset

from stemline.dataset.stored_tracks import list_track_parts
from stemline.dataset.table_schemas import SCHEMA_VERSION
from stemline.errors import LeaseHeld, StorageError, UsageError
from stemline.release.record import list_releases, read_release
from stemline.rewrite.rewrite import describe_part
from stemline.rewrite.rewrite_lock import LOCK_KEY
from stemline.rewrite.snapshot import Snapshot, live_parts, write_snapshot
from stemline.run import releasing
from stemline.run.rewriting import keeping_rewrites_away


@pytest.fixture
def published(dataset):
    """Three nights, two of which are one partition."""
    dataset.publish("c", "d", day=1)
    dataset.publish("a", "b", day=1)
    dataset.publish("e", day=2, license=None)
    return dataset


def at_step(monkeypatch, step, act, *, each_time=False):
    """Do something when a copy has so many partitions of tables behind it."""
    done = []

    class Watched(releasing.TableCopy):
        def _copy(self, *arguments):
            super()._copy(*arguments)
            if len({file.path for file in self.files}) == step and (each_time or not done):
                done.append(act())

    monkeypatch.setattr(releasing, "TableCopy", Watched)


def test_it_holds_every_row_sorted_in_one_part_a_partition(published):
    release = published.release("v1")

    assert [row["track_id"] for row in published.rows("v1")] == ["a", "b", "c", "d", "e"]
    assert [(row["track_id"], row["stem"]) for row in published.rows("v1", "stems")][:3] == [
        ("a", "instrumental"),
        ("a", "vocals"),
        ("b", "instrumental"),
    ]
    assert [file.path for file in release.files] == [
        "README.md",
        "croissant.json",
        "leakage.json",
        *(
            f"{table}/by_provider=local/by_collected_on=2026-11-0{day}/part-0001.parquet"
            for table in ("activity", "stems", "tracks")
            for day in (1, 2)
        ),
    ]
    assert release.tables == ("tracks", "stems", "activity")


def test_its_parts_are_like_those_of_the_dataset(published):
    published.release("v1")

    for table in ("tracks", "stems", "activity"):
        schema = published.layout.schema_of(table)
        for key in published.store.list(f"releases/v1/{table}"):
            part = pq.ParquetFile(published.store.local_path(key))
            assert part.schema_arrow.equals(schema)
            assert part.metadata.row_group(0).sorting_columns
            assert part.metadata.row_group(0).column(0).has_column_index
    assert published.rows("v1", "stems")[0]["path"].startswith("audio/")


def test_it_says_what_it_is(published):
    published.release("v1")
    record = published.record("v1")

    assert record["release"] == "v1"
    assert record["counts"] == {
        "tracks": 5,
        "stems": 10,
        "activity": 10,
        "seconds": 12.5,
        "bytes": 10_000,
        "formats": {"flac": {"stems": 10, "bytes": 10_000}},
        "stems_by_name": {"instrumental": 5, "vocals": 5},
        "verification": {"ok": 5, "silent": 5},
        "providers": {"local": 5},
        "recipes": {"both-best-flac": 5},
        "licenses": {"CC-BY-4.0": 4, "unknown": 1},
        "licenses_spdx": {"CC-BY-4.0": 4, "unknown": 1},
        "ai_training": {"unknown": 5},
        "splits": {"unknown": 5},
    }
    assert record["config"]["recipe"] == "both-best-flac"
    assert record["versions"]["schema"] == SCHEMA_VERSION
    assert record["layout"]["partition_by"] == ["provider", "collected_on"]
    assert {part["path"] for part in record["snapshot"]["parts"]} == set(live_parts(published.store))
    assert sum(part["rows"] for part in record["snapshot"]["parts"]) == 25


def test_it_names_every_file_with_its_digest(published):
    release = published.release("v1")

    files = {key: published.store.read_bytes(key) for key in published.store.list("releases/v1")}
    del files["releases/v1/release.json"]
    assert {f"releases/v1/{file.path}": (file.size_bytes, file.sha256) for file in release.files} == {
        key: (len(data), hashlib.sha256(data).hexdigest()) for key, data in files.items()
    }


def test_it_tells_no_secret_and_no_home(published):
    published.release("v1")

    for key in published.store.list("releases/v1"):
        data = published.store.read_bytes(key)
        assert not [word for word in ("sk_secret", published.url, str(Path.home())) if word.encode() in data]


def test_the_same_name_again_is_refused_and_changes_nothing(published):
    published.release("v1")
    before = {key: published.store.read_bytes(key) for key in published.store.list("releases")}
    published.publish("f")

    with pytest.raises(UsageError, match="another name") as refused:
        published.release("v1")

    assert refused.value.exit_code == 2
    assert {key: published.store.read_bytes(key) for key in published.store.list("releases")} == before


@pytest.mark.parametrize("name", ["", ".", "..", "../x", "a/b", ".hidden", "-v", "a b", "ü", "x" * 65, "a\n"])
def test_a_name_that_is_no_plain_file_name_is_refused(published, name):
    with pytest.raises(UsageError, match="cannot name a release"):
        published.release(name)
    assert not list(published.store.list("releases"))


def test_where_nothing_is_published_there_is_nothing_to_release(dataset):
    with pytest.raises(UsageError, match="Nothing is published"):
        dataset.release("v1")
    assert not list(dataset.store.list("releases"))


def test_what_is_published_meanwhile_is_not_in_it(published, monkeypatch):
    at_step(monkeypatch, 1, lambda: published.publish("f", "g", day=2))

    release = published.release("v1")

    assert [row["track_id"] for row in published.rows("v1")] == ["a", "b", "c", "d", "e"]
    assert release.counts["tracks"] == 5


def test_a_part_that_is_replaced_meanwhile_begins_the_copy_anew(published, monkeypatch):
    def replace():
        published.nights = 2
        published.publish("e", "f", day=2)  # under the name of the third night's

    at_step(monkeypatch, 6, replace)

    published.release("v1")

    assert [row["track_id"] for row in published.rows("v1")] == ["a", "b", "c", "d", "e", "f"]


def test_a_part_that_goes_meanwhile_begins_the_copy_anew(published, monkeypatch):
    store = published.store
    at_step(monkeypatch, 1, lambda: [store.delete(key) for key in live_parts(store) if "11-02" in key])

    published.release("v1")

    assert [row["track_id"] for row in published.rows("v1")] == ["a", "b", "c", "d"]


def test_parts_that_never_hold_still_end_it(published, monkeypatch):
    numbers = iter(range(100))

    def replace():
        published.nights = 2
        published.publish(*"efghijklmnopq"[: next(numbers) + 2], day=2)

    monkeypatch.setattr(releasing, "TRIES", 2)
    at_step(monkeypatch, 6, replace, each_time=True)

    with pytest.raises(StorageError, match="replaced faster"):
        published.release("v1")
    assert read_release(published.store, "v1") is None


def test_older_parts_have_the_columns_of_the_dataset_in_it(published):
    published.carried = CARRIED.append(pa.field("mood", pa.string()))
    published.publish("f", mood="blue")

    published.release("v1")

    assert [row["mood"] for row in published.rows("v1")] == [None] * 5 + ["blue"]


def test_parts_of_the_first_version_are_brought_to_this_one(published):
    for key in list(published.store.list("tracks")):
        part = published.part(key).drop_columns("recipe")
        pq.write_table(part, published.store.local_path(key))

    published.release("v1")

    assert {row["recipe"] for row in published.rows("v1")} == {"both-best-flac"}


def test_embedded_audio_is_in_it(dataset):
    dataset.audio = "embedded"
    dataset.publish("b", day=1)
    dataset.publish("a", day=1)

    dataset.release("v1")

    rows = dataset.rows("v1", "stems")
    assert [(row["track_id"], row["audio"]["path"].rpartition("/")[2]) for row in rows][:2] == [
        ("a", "instrumental.flac"),
        ("a", "vocals.flac"),
    ]
    assert all(row["audio"]["bytes"].decode().endswith(row["audio"]["path"]) for row in rows)
    (key,) = dataset.store.list("releases/v1/stems")
    assert dataset.part(key).schema.metadata[b"huggingface"] == dataset.layout.stems.metadata[b"huggingface"]
    assert b"in the column `audio`" in dataset.store.read_bytes("releases/v1/README.md")


def test_who_replaces_parts_and_who_releases_them_keep_each_other_out(published, monkeypatch):
    monkeypatch.setattr(releasing, "keeping_rewrites_away", partial(keeping_rewrites_away, patience=0))
    with keeping_rewrites_away(published.store), pytest.raises(LeaseHeld):
        published.release("v1")
    seen = []
    at_step(monkeypatch, 1, lambda: seen.append(published.store.exists(LOCK_KEY)))

    published.release("v1")

    assert seen == [True]
    assert not published.store.exists(LOCK_KEY)


@pytest.fixture(params=["local", "memory", "s3"])
def anywhere(request, tmp_path):
    """A dataset on each kind of store."""
    if request.param == "s3":
        bucket, server = request.getfixturevalue("bucket"), request.getfixturevalue("s3_server")
        return ReleasedDataset(f"s3://{bucket}/stems", server.storage_options)
    url = str(tmp_path / "out") if request.param == "local" else f"memory://{uuid.uuid4().hex}/stems"
    return ReleasedDataset(url)


def test_on_any_store_it_is_made_and_the_dataset_is_as_before(anywhere):
    anywhere.publish("b", day=1)
    anywhere.publish("a", day=1)
    before = live_parts(anywhere.store)

    anywhere.release("v1")

    assert [row["track_id"] for row in anywhere.rows("v1")] == ["a", "b"]
    assert live_parts(anywhere.store) == before
    assert sorted(list_track_parts(anywhere.store)) == [key for key in before if key.startswith("tracks/")]
    assert [each.name for each in list_releases(anywhere.store)[0]] == ["v1"]


def test_a_dataset_without_partitions_is_released_as_well(dataset):
    dataset.partition_by = ()
    dataset.publish("b")
    dataset.publish("a")

    release = dataset.release("v1")

    assert [file.path for file in release.parts_of("tracks")] == ["tracks/part-0001.parquet"]
    assert [row["track_id"] for row in dataset.rows("v1")] == ["a", "b"]


def test_a_damaged_part_is_named(published):
    (key,) = [key for key in live_parts(published.store) if key.startswith("tracks/") and "11-02" in key]
    published.store.put_bytes(key, published.store.read_bytes(key)[:-20])

    with pytest.raises(StorageError, match=r"11-02/part-.*no sound Parquet"):
        published.release("v1")


def test_a_part_that_is_gone_is_named_with_what_to_do(published):
    (key,) = [key for key in live_parts(published.store) if key.startswith("tracks/") and "11-02" in key]
    part = describe_part(published.store, key)
    write_snapshot(published.store, Snapshot(1, datetime.now(UTC), "compact", (part,)))
    published.store.delete(key)

    with pytest.raises(StorageError, match=r"11-02/part-.* is gone") as refused:
        published.release("v1")

    assert "verify --repair" in str(refused.value.fix)
