"""Small parts become one: the same rows, sorted, exact for whoever reads through the snapshot, whatever dies when."""

from __future__ import annotations

import hashlib
from datetime import date
from itertools import count

import pyarrow.parquet as pq
import pytest
from support.mortal_store import Died, MortalStore
from support.weeks import READERS

from stemline.dataset.stored_tracks import batch_of_part
from stemline.errors import StorageError
from stemline.rewrite import merging
from stemline.rewrite.compaction import MANY_PARTS, list_partitions
from stemline.rewrite.snapshot import SNAPSHOTS_PREFIX, live_parts, read_snapshot

TABLES = ("tracks", "stems")


def nights(library, number=3):
    for day in range(1, number + 1):
        library.publish(f"d{day}", f"b{day}", day=day)
        library.publish(f"a{day}", day=day)
        library.publish(f"c{day}", day=day)


def assert_right(library):
    for table in TABLES:
        assert library.live(table) == library.globbed(table) == library.expected(table)


def test_each_partition_has_one_part_for_each_table(library):
    nights(library)
    counts = library.compact()
    assert (counts.partitions, counts.parts_before, counts.parts_after) == (3, 18, 6)
    assert_right(library)
    parts = [key for table in TABLES for key in library.store.list(table)]
    assert len(parts) == 6
    assert len({key.rpartition("/")[0] for key in parts}) == 6


def test_what_is_right_is_not_written_again(library):
    nights(library)
    library.compact()
    before = {key: library.store.read_bytes(key) for key in library.store.list()}
    assert library.compact().partitions == 0
    library.publish("later", day=3)
    counts = library.compact()
    assert (counts.partitions, counts.rows) == (1, 5 * 3)
    assert_right(library)
    unchanged = {key for key in library.store.list("tracks") if "collected_on=2026-11-03" not in key}
    assert len(unchanged) == 2
    assert all(library.store.read_bytes(key) == before[key] for key in unchanged)


def test_rows_are_sorted_and_parts_are_as_runs_write_them(library):
    nights(library, 1)
    (example,) = (key for key in library.store.list("tracks") if "0" * 20 in key)
    usual = pq.ParquetFile(library.store.url(example))
    library.compact()
    (key,) = library.store.list("tracks")
    merged = pq.ParquetFile(library.store.url(key))
    assert merged.schema_arrow.equals(usual.schema_arrow, check_metadata=True)
    assert merged.read(["track_id"]).column(0).to_pylist() == ["a1", "b1", "c1", "d1"]
    assert merged.metadata.row_group(0).sorting_columns == usual.metadata.row_group(0).sorting_columns
    column = merged.metadata.row_group(0).column(0)
    assert column.compression == "ZSTD"
    assert column.statistics.max == "d1"
    assert column.has_column_index


def test_every_value_is_kept(library):
    nights(library, 2)

    def rows():
        folder = library.store.url("tracks")
        return sorted(pq.read_table(folder, partitioning=None).to_pylist(), key=lambda row: row["track_id"])

    before = rows()
    library.compact()
    assert rows() == before


def test_every_reader_sees_the_same(library, tmp_path):
    nights(library, 2)
    library.compact()
    for name, read in READERS.items():
        assert {row["track_id"] for row in read(tmp_path / "out")} == set(library.tracks), name


def test_the_snapshot_tells_every_part(library):
    nights(library)
    library.compact()
    library.publish("later", day=5)
    snapshot = read_snapshot(library.store)
    assert {part.key for part in snapshot.parts} < set(live_parts(library.store))
    for part in snapshot.parts:
        data = library.store.read_bytes(part.key)
        assert (len(data), hashlib.sha256(data).hexdigest()) == (part.size_bytes, part.sha256)
        assert pq.ParquetFile(library.store.url(part.key)).metadata.num_rows == part.rows
    assert len(list(library.store.list(SNAPSHOTS_PREFIX))) <= 4


def test_a_part_whose_batch_is_not_published_is_left_alone(library):
    library.publish("a")
    library.publish("b")
    library.publish("open")
    live = live_parts(library.store)
    partitions, left = list_partitions(library.store, live, lambda ids: ids - {f"{2:020x}"})
    assert left == 2
    assert [partition.count for partition in partitions] == [4]


def test_a_partition_is_finished_when_its_day_is_over_or_its_parts_are_many(make_library):
    library = make_library()
    library.publish("a", day=1)
    library.publish("b", day=2)
    first, second = list_partitions(library.store, live_parts(library.store), set)[0]
    assert first.is_finished(date(2026, 11, 2))
    assert not second.is_finished(date(2026, 11, 2))
    whole = make_library("whole", partition_by=())
    for number in range(MANY_PARTS):
        (partition,) = list_partitions(whole.store, live_parts(whole.store), set)[0] or [None]
        assert partition is None or not partition.is_finished(date(2027, 1, 1))
        whole.publish(f"t{number}")
    (partition,) = list_partitions(whole.store, live_parts(whole.store), set)[0]
    assert partition.is_finished(date(2026, 1, 1))


@pytest.mark.parametrize("memory", [None, 0], ids=["sorted at once", "sorted by ranges"])
def test_a_part_whose_pages_are_damaged_replaces_nothing(library, monkeypatch, memory):
    if memory is not None:
        monkeypatch.setattr(merging, "MEMORY_BYTES", memory)
    nights(library)
    damaged = live_parts(library.store)[0]
    whole = library.store.read_bytes(damaged)
    library.store.put_bytes(damaged, whole[:4] + bytes(100) + whole[104:])
    before = sorted(live_parts(library.store))
    with pytest.raises(StorageError, match="cannot be"):
        library.compact()
    assert sorted(live_parts(library.store)) == before


def test_what_is_too_large_for_one_part_has_several(library, monkeypatch):
    monkeypatch.setattr(merging, "PART_BYTES", 1)
    monkeypatch.setattr(merging, "ROWS_PER_GROUP", 2)
    monkeypatch.setattr(merging, "_PLAIN", set())
    nights(library, 1)
    library.compact()
    names = [key.rpartition("/")[2] for key in library.store.list("tracks")]
    assert sorted(name.partition(".")[2] for name in names) == ["2.parquet", "parquet"]
    assert len({batch_of_part(name) for name in names}) == 1
    assert_right(library)


def test_columns_duckdb_has_no_equal_type_for_are_merged_too(make_library, monkeypatch):
    library = make_library()
    monkeypatch.setattr(merging, "_PLAIN", set())
    nights(library, 2)
    library.compact()
    assert_right(library)


def test_what_does_not_fit_into_the_memory_of_duckdb_is_merged_too(make_library, monkeypatch):
    library = make_library()
    monkeypatch.setattr(merging, "MEMORY_BYTES", 0)
    nights(library, 2)
    library.compact()
    assert_right(library)


class TestDeath:
    """At any write."""

    @pytest.mark.parametrize(
        ("is_done", "every"),
        [
            pytest.param(False, 2, marks=pytest.mark.long, id="before every other"),
            pytest.param(True, 2, marks=pytest.mark.long, id="behind every other"),
            pytest.param(True, 9, id="behind some"),
        ],
    )
    def test_the_rows_are_the_same_at_any_instant_and_the_next_one_finishes(
        self, make_library, seed, is_done, every
    ):
        for after in count(seed % every, every):
            library = make_library(f"out-{after}")
            nights(library, 2)
            mortal = MortalStore(library.store.url(), after, is_done=is_done)
            try:
                library.compact(mortal)
            except Died:
                for table in TABLES:
                    assert library.live(table) == library.expected(table), after
            else:
                break
            library.publish("meanwhile", day=2)
            assert library.live() == library.expected()
            library.compact()
            assert_right(library)
            assert not list(library.store.list("_stemline/rewrites"))
            assert all(sum(1 for _ in library.store.list(table)) == 2 for table in TABLES)
        assert after > 10

    def test_the_same_names_come_of_the_same_parts(self, make_library):
        libraries = [make_library(name) for name in ("one", "two")]
        for library in libraries:
            nights(library, 2)
        libraries[0].compact()
        with pytest.raises(Died):
            libraries[1].compact(MortalStore(libraries[1].store.url(), 5))
        libraries[1].compact()
        one, two = (
            {key: library.store.read_bytes(key) for key in library.store.list("tracks")}
            for library in libraries
        )
        assert one == two
