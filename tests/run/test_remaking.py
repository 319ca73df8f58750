"""Tracks that are made again: their new rows take the place of the older ones, and nothing else changes."""

from __future__ import annotations

import os
import sqlite3
from collections import Counter
from contextlib import closing
from dataclasses import replace

import pandas as pd
import pytest
from support.estate import DATASET, RECIPE, open_estate
from support.remade import Remade

from stemline.adoption import _adopt
from stemline.integrity.part_rebuild import PartRebuild
from stemline.integrity.verification import Thoroughness, check_dataset_integrity
from stemline.ledger import KnownDataset, open_ledger
from stemline.records import Code, Failure, State
from stemline.run.compaction import compact_parts
from stemline.storage import open_store


@pytest.fixture(params=["objects", "embedded"])
def remade(request, tmp_path):
    """Four tracks in two batches, published by a run that has ended."""
    with open_estate(tmp_path, open_store(str(tmp_path / "out")), audio=request.param) as estate:
        estate.publish("a", "b", "c")
        estate.publish("d")
        estate.finish()
        remade = Remade(estate)
        remade.new_run()
        yield remade


@pytest.fixture
def objects(tmp_path):
    """The same, with audio in objects of its own."""
    with open_estate(tmp_path, open_store(str(tmp_path / "out"))) as estate:
        estate.publish("a", "b", "c")
        estate.publish("d")
        estate.finish()
        remade = Remade(estate)
        remade.new_run()
        yield remade


def audio(remade) -> set[str]:
    return {key.rpartition("/")[0].split("/", 2)[2] for key in remade.estate.store.list("audio")}


@pytest.mark.long
def test_the_new_row_takes_the_place_of_the_older_one(remade):
    tokens = remade.collect("a", "d")
    assert remade.numbers() == {"a": 1, "b": 1, "c": 1, "d": 1}
    assert remade.estate.check().is_sound

    assert remade.replace() == 2

    assert remade.numbers() == {"a": 2, "b": 1, "c": 1, "d": 2}
    assert {token for _, token in remade.live()} >= set(tokens)
    assert remade.charges() == Counter(a=2, b=1, c=1, d=2)
    found = pd.read_parquet(remade.estate.store.url("tracks"))
    assert dict(zip(found["track_id"], found["bpm"], strict=True)) == {
        "a": 99.0,
        "b": 120.5,
        "c": 120.5,
        "d": 99.0,
    }
    report = remade.estate.check()
    assert report.is_sound, report
    assert report.leftovers == ()
    assert len(pd.read_parquet(remade.estate.store.url("activity"))) == 4
    assert remade.estate.ledger.queries.counts(remade.run_id) == {State.PUBLISHED: 2}


def test_publishing_alone_does_not_put_it_beside_the_older_row(remade):
    (token,) = remade.collect("a")
    publisher = remade.estate.publisher
    assert publisher.publish(remade.run_id, [token]) == 0
    assert publisher.publish_leftovers(remade.run_id, "local", RECIPE) == 0
    assert remade.numbers()["a"] == 1


def test_it_is_published_beside_what_is_new(remade):
    (token,) = remade.collect("a")
    new = remade.estate.collect("new")
    assert remade.estate.publisher.publish(remade.run_id, [token, new]) == 1
    assert remade.replace() == 1
    assert remade.numbers() == {"a": 2, "b": 1, "c": 1, "d": 1, "new": 1}


@pytest.mark.long
def test_what_was_merged_is_found_where_it_lies_now(remade):
    compact_parts(remade.estate.ledger, remade.estate.store, DATASET)
    remade.collect("a", "d")
    assert remade.replace() == 2
    assert remade.numbers() == {"a": 2, "b": 1, "c": 1, "d": 2}
    compact_parts(remade.estate.ledger, remade.estate.store, DATASET)
    assert remade.numbers() == {"a": 2, "b": 1, "c": 1, "d": 2}
    assert remade.estate.check().is_sound


@pytest.mark.long
def test_it_may_be_made_again_and_again(remade):
    for number in (2, 3):
        remade.collect("a")
        assert remade.replace() == 1
        assert remade.numbers()["a"] == number
        assert remade.estate.check().is_sound
        remade.new_run()
    assert remade.charges()["a"] == 3


def test_audio_that_nobody_names_any_more_is_removed_with_the_older_rows(objects):
    before = audio(objects)
    objects.collect("a")
    assert audio(objects) == {*before, "a/local-both-best-flac-2"}

    objects.replace()

    assert audio(objects) == before - {"a/local-both-best-flac"} | {"a/local-both-best-flac-2"}
    assert list(objects.estate.ledger.remakes.superseded()) == []


@pytest.mark.long
def test_a_release_keeps_what_it_names_byte_by_byte(objects):
    objects.estate.release("v1")
    before = {key: objects.estate.store.read_bytes(key) for key in objects.estate.store.list("audio")}
    objects.collect("a", "b")
    objects.replace()
    after = {key: objects.estate.store.read_bytes(key) for key in objects.estate.store.list("audio")}
    assert after.items() >= before.items()
    assert objects.estate.rows(folder="releases/v1") == ["a", "b", "c", "d"]
    assert objects.estate.check().is_sound

    objects.estate.release("v2")

    assert objects.estate.check().is_sound
    assert objects.numbers()["a"] == 2


def test_a_damaged_release_keeps_all_audio(objects):
    objects.estate.release("v1")
    part = next(key for key in objects.estate.store.list("releases/v1/stems"))
    sound = objects.estate.store.read_bytes(part)
    objects.estate.store.put_bytes(part, sound[:40])
    objects.collect("a")
    objects.replace()
    assert "a/local-both-best-flac" in audio(objects)

    objects.estate.store.put_bytes(part, sound)

    assert objects.estate.check().is_sound


def test_while_another_run_is_at_the_parts_all_is_left_to_the_next_one(remade):
    remade.collect("a")
    remade.estate.ledger.leases.acquire(f"dataset:{DATASET}", f"elsewhere:{os.getpid()}", 60)
    assert remade.replace() == 0
    assert remade.numbers()["a"] == 1

    held = remade.estate.ledger.leases.get(f"dataset:{DATASET}")
    remade.estate.ledger.leases.release(f"dataset:{DATASET}", held.fence)
    remade.new_run()

    assert remade.replace() == 1
    assert remade.numbers()["a"] == 2


@pytest.mark.long
def test_many_are_put_in_place_while_a_run_goes_on(remade, monkeypatch):
    monkeypatch.setattr("stemline.run.remaking.LEFTOVER_TRACKS", 2)
    queue = remade.queue()
    remade.collect("a")
    assert queue.add(remade.run_id, 1) == 0
    remade.collect("b", "c")
    assert queue.add(remade.run_id, 2) == 3
    assert remade.numbers() == {"a": 2, "b": 2, "c": 2, "d": 1}


def test_what_comes_to_nothing_leaves_the_older_row_as_it_was(objects):
    before = {key: objects.estate.store.read_bytes(key) for key in objects.estate.store.list("tracks")}
    objects.plan_again("a", genre="new")
    failure = Failure(objects.ready("a").token, State.QUARANTINED, Code.TRUNCATED, "It is cut off.")
    objects.estate.ledger.attempts.fail(failure)

    objects.estate.ledger.remakes.end_in_vain(objects.run_id)

    assert objects.replace() == 0
    assert {
        key: objects.estate.store.read_bytes(key) for key in objects.estate.store.list("tracks")
    } == before
    assert objects.estate.check().is_sound
    assert objects.numbers()["a"] == 1
    assert objects.estate.ledger.queries.counts(objects.run_id) == {State.PUBLISHED: 1}
    objects.new_run()
    assert (
        objects.estate.ledger.tracks.plan(objects.run_id, [objects.estate.track("a")], again={"a": 1}).revived
        == 0
    )


def test_a_fresh_ledger_adopts_the_newer_row_alone(objects, tmp_path):
    objects.collect("a")
    objects.replace()
    objects.estate.publisher.publish_leftovers(objects.run_id, "local", RECIPE)
    with open_ledger(f"sqlite:///{tmp_path}/fresh.db") as fresh:
        counts = _adopt(fresh, objects.estate.store, objects.estate.settings, lambda _: None)
        assert (counts.tracks, counts.twice) == (4, 0)
        assert fresh.remakes.numbers("local", RECIPE, ["a", "b"]) == {"a": 2, "b": 1}
        assert fresh.database.destination is not None
        other = Remade(replace(objects.estate, ledger=fresh))
        other.new_run()
        other.collect("a")
        assert other.replace() == 1
        assert other.numbers() == {"a": 3, "b": 1, "c": 1, "d": 1}


@pytest.mark.long
def test_an_older_ledger_adopts_what_was_made_again_since(objects, tmp_path):
    """Its backup was made before the track was made again: to ask for it once more pays for it once more."""
    with (
        closing(sqlite3.connect(objects.estate.file)) as ledger,
        closing(sqlite3.connect(tmp_path / "backup.db")) as copy,
    ):
        ledger.backup(copy)
    objects.collect("a")
    objects.replace()
    with open_ledger(f"sqlite:///{tmp_path}/backup.db") as older:
        counts = _adopt(older, objects.estate.store, objects.estate.settings, lambda _: None)
        assert (counts.tracks, counts.known, counts.twice) == (1, 3, 0)
        assert older.remakes.numbers("local", RECIPE, ["a", "b"]) == {"a": 2, "b": 1}
        assert [each.tracks for each in older.datasets.of_dataset(DATASET)] == [4]
        assert check_dataset_integrity(objects.estate.store, older, Thoroughness()).is_sound
        again = _adopt(older, objects.estate.store, objects.estate.settings, lambda _: None)
        assert (again.tracks, again.known) == (0, 4)


def test_the_ledger_counts_each_track_of_the_dataset_once(objects):
    objects.collect("a", "b")
    objects.replace()
    known = objects.estate.ledger.datasets.of_dataset(DATASET)[0]
    assert isinstance(known, KnownDataset)
    assert known.tracks == 4


@pytest.mark.long
@pytest.mark.parametrize("is_replaced", [True, False])
def test_a_track_that_was_made_again_is_forgotten_with_all_its_attempts(objects, is_replaced):
    objects.estate.release("v1")
    if is_replaced:
        objects.collect("a")
        objects.replace()
    else:
        objects.plan_again("a")
    report = objects.estate.forget(tracks=("a",))
    assert report.exit_code == 0
    assert objects.estate.rows() == ["b", "c", "d"]
    assert not any(each.startswith("a/") for each in audio(objects))
    assert objects.estate.traces("Song of a", "QZ-a-26") == []
    assert objects.estate.check().is_sound


def test_a_track_that_is_just_made_again_is_forgotten_later(objects):
    objects.collect("a")
    assert objects.estate.forget(tracks=("a",)).exit_code != 0
    objects.replace()
    assert objects.estate.forget(tracks=("a",)).exit_code == 0
    assert objects.estate.check().is_sound


def test_a_lost_part_is_written_again_with_the_newer_rows(objects):
    objects.collect("a")
    objects.replace()
    wanted = {key: objects.estate.store.read_bytes(key) for key in objects.estate.store.list("tracks")}
    described = objects.estate.check().described
    for key in wanted:
        objects.estate.store.delete(key)
    rebuild = PartRebuild(
        objects.estate.settings, objects.estate.store, objects.estate.ledger, DATASET, described
    )
    outcomes = list(rebuild.run([(key, described.get(key)) for key in wanted]))
    assert all(each.is_mended for each in outcomes), outcomes
    assert objects.numbers() == {"a": 2, "b": 1, "c": 1, "d": 1}
    assert objects.estate.check().is_sound
