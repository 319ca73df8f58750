"""Corrected metadata of published tracks reaches the tables, for nothing, and in the parts that hold it alone."""

from __future__ import annotations

import math
import os
from dataclasses import replace

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from support.night import RECIPE, open_night, row

from stemline.dataset.correction import CorrectedRow, correct_parts, keys_by_batch
from stemline.errors import LeaseHeld
from stemline.ledger.cell import load_cells
from stemline.plan.relocation import relocated_sentence
from stemline.run.lease import holding_parts


@pytest.fixture
def night(tmp_path):
    with open_night(tmp_path, mood=pa.string(), plays=pa.int64()) as night:
        yield night


def test_a_corrected_row_is_rewritten_in_its_part_alone(night):
    night.publish("a", "b", mood="calm", plays=1)
    night.publish("c", mood="calm", plays=1)
    before, bpm = night.files(), night.rows()["a"]["bpm"]

    queue = night.plan(row("a", mood="wild", plays=2, artist="New"), row("c", mood="calm", plays=1))

    assert queue.apply(night.run_id) == 1
    rows = night.rows()
    assert (rows["a"]["mood"], rows["a"]["plays"], rows["a"]["artist"], rows["a"]["bpm"]) == (
        "wild",
        2,
        "New",
        bpm,
    )
    assert rows["b"]["mood"] == rows["c"]["mood"] == "calm"
    assert len(before.items() - night.files().items()) == 1
    assert rows["a"]["credits_charged"] == 7
    assert night.ledger.credits.spending(night.run_id).run.charged == 21


def test_ledger_and_tables_agree_afterwards_and_nothing_is_noticed_twice(night):
    night.publish("a", mood="calm", plays=1)
    assert night.plan(row("a", mood="wild", plays=1)).apply(night.run_id) == 1
    before = night.files()

    again = night.plan(row("a", mood="wild", plays=1))

    assert (again.pending, again.apply(night.run_id)) == ({}, 0)
    assert night.files() == before
    (written,) = night.ledger.tracks.written("local", night.queue.recipe, ["a"]).values()
    assert load_cells(written.columns) == {"mood": "wild", "plays": 1}


def test_what_a_crash_between_tables_and_ledger_cuts_off_is_done_by_the_next_run(night):
    night.publish("a", mood="calm", plays=1)
    rows, keys = corrected(night, row("a", mood="wild", plays=1))
    correct_parts(night.store, keys, night.layout, rows, lambda: None)  # and the process is gone
    once = night.files()

    assert night.plan(row("a", mood="wild", plays=1)).apply(night.run_id) == 1

    assert night.files() == once  # the same bytes under the same name
    assert night.rows()["a"]["mood"] == "wild"


def test_a_column_the_manifest_no_longer_has_stays_and_an_emptied_cell_becomes_null(night):
    night.publish("a", mood="calm", plays=1)

    assert night.plan(row("a", mood=None)).apply(night.run_id) == 1

    found = night.rows()["a"]
    assert (pd.isna(found["mood"]), found["plays"]) == (True, 1)
    assert night.plan(row("a", mood=None)).pending == {}


def test_what_the_provider_told_comes_back_where_the_manifest_says_nothing(night):
    night.publish("a", title="The vendor's")
    assert night.plan(row("a", mood="calm", title="Ours")).apply(night.run_id) == 1
    assert night.rows()["a"]["title"] == "Ours"

    assert night.plan(row("a", mood="calm", title=None)).apply(night.run_id) == 1
    assert night.rows()["a"]["title"] == "The vendor's"


def test_other_types_of_the_same_value_are_no_correction(night):
    night.publish("a", mood="7", plays=1)
    assert night.plan(row("a", mood=7, plays="1")).pending == {}
    night.publish("b", gain=math.nan)
    assert night.plan(row("b", mood=None, gain=math.nan)).pending == {}


def test_what_partitions_the_table_keeps_its_value(tmp_path):
    with open_night(tmp_path, ("artist",), mood=pa.string()) as night:
        night.publish("a", artist="Old", mood="calm")

        assert night.plan(row("a", artist="New", mood="calm")).pending == {}
        assert night.plan(row("a", artist="New", mood="wild")).apply(night.run_id) == 1

        assert (night.rows()["a"]["artist"], night.rows()["a"]["mood"]) == ("Old", "wild")
        assert night.plan(row("a", artist="New", mood="wild")).pending == {}


def test_unpublished_tracks_follow_the_manifest_by_themselves(night):
    token = night.collect("a", mood="calm")
    assert night.plan(row("a", mood="wild")).pending == {}
    night.publisher.publish(night.run_id, [token])
    assert night.rows()["a"]["mood"] == "wild"


def test_while_another_run_is_at_the_parts_they_are_left_alone(night):
    night.publish("a", mood="calm")
    night.ledger.leases.acquire("dataset:set", f"elsewhere:{os.getpid()}", 60)
    before = night.files()

    assert night.plan(row("a", mood="wild")).apply(night.run_id) == 0

    assert night.files() == before
    assert set(night.plan(row("a", mood="wild")).pending) == {"a"}


def test_who_lost_its_hold_writes_nothing(night):
    night.publish("a", mood="calm")
    before, (rows, keys) = night.files(), corrected(night, row("a", mood="wild"))

    with holding_parts(night.ledger, "set") as require_hold:
        require_hold()
        night.ledger.leases.release("dataset:set", night.ledger.leases.get("dataset:set").fence)
        night.ledger.leases.acquire("dataset:set", "elsewhere:1", 60)
        with pytest.raises(LeaseHeld):
            correct_parts(night.store, keys, night.layout, rows, require_hold)

    assert night.files() == before


def test_a_damaged_part_is_named_and_others_are_corrected(night):
    night.publish("a", mood="calm")
    night.publish("b", mood="calm")
    part = next(key for key in night.store.list("tracks") if _holds(night, key, "a"))
    sound = night.store.read_bytes(part)
    night.store.put_bytes(part, sound[:-9])
    queue = night.plan(row("a", mood="wild"), row("b", mood="wild"))

    assert queue.apply(night.run_id) == 1
    assert part in queue.problem

    night.store.put_bytes(part, sound)
    assert night.plan(row("a", mood="wild"), row("b", mood="wild")).apply(night.run_id) == 1
    assert {found["mood"] for found in night.rows().values()} == {"wild"}


def corrected(night, *rows):
    """Give corrected rows by their tokens, and the parts they lie in."""
    found = night.ledger.corrections.published("local", RECIPE, [each.track_id for each in rows])
    tracks = {each.track_id: each for each in rows}
    now = {
        each.attempt.token: replace(each.attempt, track=tracks[each.attempt.track.track_id]) for each in found
    }
    keys = [key for keys in keys_by_batch(night.store).values() for key in keys]
    return {each.attempt.token: CorrectedRow(now[each.attempt.token], each.job) for each in found}, keys


def _holds(night, key, name):
    return name in pq.read_table(night.folder / "out" / key)["track_id"].to_pylist()


def test_a_published_track_whose_row_names_another_file_is_told(night):
    """Its stems are of the old one: two ids that were swapped would stand for each other's music without a word."""
    night.publish("a", "b", mood="calm", plays=1)
    swapped = replace(row("a", mood="calm", plays=1), location=row("b").location)
    for _ in range(2):  # the next night says so as well
        found = night.plan(swapped, row("b", mood="calm", plays=1)).relocations
        (first,) = found.first
        assert (found.count, first.track_id, first.now, first.then) == (
            1,
            "a",
            row("b").location,
            row("a").location,
        )
        told = relocated_sentence(found.as_tree()["relocated"])
        assert told.startswith("1 published track has another location in the manifest now, such as row ")
        assert "--mode stale" in told
    assert night.plan(row("a"), row("b")).relocations.as_tree() == {}
