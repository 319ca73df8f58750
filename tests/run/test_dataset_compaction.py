"""A ledger and its dataset after small parts were merged: both know where every row is."""

from __future__ import annotations

from contextlib import ExitStack
from datetime import timedelta

import pyarrow as pa
import pytest
from sqlalchemy import text
from support.night import open_night, row

from stemline.dataset.paths import TABLES
from stemline.dataset.stored_tracks import batch_of_part
from stemline.errors import LeaseHeld
from stemline.rewrite import rewrite
from stemline.rewrite.rewrite_lock import LOCK_KEY, RewriteLock
from stemline.rewrite.snapshot import read_snapshot
from stemline.run.compaction import compact_finished, compact_parts
from stemline.run.lease import is_dead

DATASET = "set"


@pytest.fixture
def night(tmp_path):
    with open_night(tmp_path, mood=pa.string()) as night:
        for names in ("ab", "c", "d"):
            night.publish(*names, mood="glad")
        yield night


def compact(night):
    return compact_parts(night.ledger, night.store, DATASET)


def parts(night, table="tracks"):
    return sorted(night.store.list(table))


def test_a_snapshot_takes_what_the_ledger_knows_of_parts(night, monkeypatch):
    known = night.ledger.parts.written()
    assert known.keys() == {key for table in TABLES for key in parts(night, table)}
    assert sum(part.rows for part in known.values()) == 4 * len(TABLES)
    compact(night)
    assert night.ledger.parts.written() == {}
    night.publish("e")
    night.publish("f")
    monkeypatch.setattr(rewrite, "describe_part", lambda _, key: pytest.fail(f"{key} is read"))
    compact(night)
    assert len(read_snapshot(night.store).parts) == len(TABLES)


def test_what_is_merged_again_is_found_again(night):
    compact(night)
    night.publish("e")
    counts = compact(night).counts
    assert (counts.partitions, counts.parts_before, counts.parts_after, counts.rows) == (1, 6, 3, 15)
    assert set(night.rows()) == set("abcde")
    assert compact(night).right == 1


def test_rows_of_one_batch_are_corrected_in_every_partition_they_were_merged_in(tmp_path):
    with open_night(tmp_path, ("artist",), mood=pa.string()) as night:
        for some in ({"a": "X", "b": "Y", "e": "Z"}, {"c": "X", "d": "Y"}):
            tokens = [night.collect(name, artist=artist, mood="glad") for name, artist in some.items()]
            night.publisher.publish(night.run_id, tokens)
        compact(night)
        sad = [row(name, artist=artist, mood="sad") for name, artist in zip("abe", "XYZ", strict=True)]

        queue = night.plan(*sad)

        assert (queue.apply(night.run_id), queue.problem) == (3, "")
        assert {name for name, each in night.rows().items() if each["mood"] == "sad"} == set("abe")
        assert night.plan(*sad).pending == {}


def test_a_row_is_corrected_where_it_lies_by_now(night):
    compact(night)
    night.publish("e", mood="glad")
    compact(night)
    (before,) = parts(night)
    queue = night.plan(row("b", mood="sad"), row("e", mood="sad"))
    assert queue.apply(night.run_id) == 2
    assert {name: each["mood"] for name, each in night.rows().items()} == {
        "a": "glad",
        "b": "sad",
        "c": "glad",
        "d": "glad",
        "e": "sad",
    }
    assert parts(night) == [before]
    told = {part.key: part for part in read_snapshot(night.store).parts}
    assert told[before] == rewrite.describe_part(night.store, before)


def test_a_row_in_a_part_that_another_ledger_has_merged_is_corrected_too(night):
    compact(night)
    with night.ledger.database.write() as connection:
        connection.execute(text("UPDATE batches SET merged_into = NULL"))
    assert night.plan(row("c", mood="sad")).apply(night.run_id) == 1
    assert night.rows()["c"]["mood"] == "sad"


def test_the_part_of_a_batch_that_is_not_published_is_left(night):
    token = night.collect("e")
    night.ledger.batches.open(night.run_id, "e" * 20, [token])
    found = night.ledger.batches.publish
    night.ledger.batches.publish = lambda *_: 0  # the process dies before it can say so
    night.publisher._write(night.run_id, "e" * 20)
    night.ledger.batches.publish = found
    report = compact(night)
    assert report.left == len(TABLES)
    assert {batch_of_part(key) for key in parts(night)} > {"e" * 20}
    assert night.publisher._write(night.run_id, "e" * 20) == 1
    assert sorted(night.rows()) == list("abcde")
    assert (compact(night).left, len(parts(night))) == (0, 1)


def test_a_column_that_joins_comes_into_merged_parts(night):
    compact(night)
    night.layout.__dict__["carried"] = pa.schema([("mood", pa.string()), ("plays", pa.int64())])
    night.publish("e", plays=7)
    assert compact(night).counts.partitions == 1
    assert night.rows()["e"]["plays"] == 7


@pytest.mark.parametrize("holds", ["by its ledger", "by the dataset"])
def test_only_one_rewrites_a_dataset(night, holds):
    other = RewriteLock(night.store, "elsewhere:1", night.ledger.clock, lambda _: False)
    with ExitStack() as stack:
        if holds == "by its ledger":
            night.ledger.leases.acquire(f"dataset:{DATASET}", "elsewhere:1", 60)
        else:
            stack.enter_context(other.held())
        with pytest.raises(LeaseHeld):
            compact_parts(night.ledger, night.store, DATASET, patience=0)
        assert compact_finished(night.ledger, night.store, DATASET) is None
        assert len(parts(night)) == 3


def test_a_lock_whose_holder_is_gone_is_taken_over_and_its_holder_stops(night):
    dead = RewriteLock(night.store, "elsewhere:1", lambda: night.ledger.clock() - timedelta(hours=1), is_dead)
    dead.acquire()
    assert compact(night).counts.partitions == 1
    with RewriteLock(night.store, "another:1", night.ledger.clock, is_dead).held():
        dead._checked_at = 0.0
        with pytest.raises(LeaseHeld):
            dead.require()
        dead.release()
        assert night.store.exists(LOCK_KEY)
    assert not night.store.exists(LOCK_KEY)
