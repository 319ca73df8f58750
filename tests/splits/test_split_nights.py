"""Rows get the split of their group when they are published, or afterwards, and nothing takes it from them."""

from __future__ import annotations

import pyarrow as pa
import pytest
from support.night import open_night, row

from stemline.dataset.metadata import are_splits_whole
from stemline.errors import ConfigError
from stemline.settings.split_settings import SplitSettings
from stemline.splits.split_log import SPLITS_PREFIX, entry_key, read_splits

SPLITS = SplitSettings(shares={"train": 0.5, "test": 0.5})


@pytest.fixture
def night(tmp_path):
    with open_night(tmp_path, mood=pa.string()) as night:
        night.splits = SPLITS
        yield night


def splits(night):
    """Give the split of each track; none for what is in none."""
    return {
        name: each["split"] if isinstance(each["split"], str) else None for name, each in night.rows().items()
    }


def other_split(split):
    return {"train": "test", "test": "train"}[split]


def two_apart(night):
    """Give two artists that were drawn into different splits."""
    rows = [{"track_id": letter, "artist": letter} for letter in "ABCDEFGH"]
    found = night.book.decide_rows(rows)
    first = found.index(other_split(found[0]))
    return "A", "ABCDEFGH"[first]


def test_whoever_is_tied_by_a_later_row_is_together_from_the_beginning(night):
    names = [f"Artist {number}" for number in range(12)]
    rows = [row(name, artist=name) for name in names]
    night.plan(*rows, row("all", artist=" & ".join(names)))
    for name in names:
        night.publish(name, artist=name)
    assert len(set(splits(night).values())) == 1


def test_what_ties_two_splits_is_in_none_and_is_told(night):
    one, other = two_apart(night)
    night.publish("a", artist=one)
    night.publish("b", artist=other)
    publisher = night.publisher
    publisher.publish(night.run_id, [night.collect("both", artist=f"{one} feat. {other}")])
    found = splits(night)
    assert found["a"] != found["b"]
    assert found["both"] is None
    assert publisher.splits.as_tree() == {
        "splits": {"train": 0, "test": 0, "none": 1},
        "in_no_split": ["both"],
    }


def test_the_manifest_wins_and_gives_its_group_the_split(night):
    night.plan(row("a", artist="A"), row("a2", artist="A", split="holdout"))
    night.publish("a", artist="A")
    night.publish("a2", artist="A", split="holdout")
    night.publish("a3", artist="A", split="test")
    assert splits(night) == {"a": "holdout", "a2": "holdout", "a3": "test"}


def test_rows_of_before_get_theirs_once_and_in_their_parts_alone(night):
    night.splits = None
    night.publish("a", artist="A")
    night.publish("own", artist="B", split="test")
    night.publish("b", artist="B")
    before = night.files()
    assert set(splits(night).values()) == {None, "test"}

    night.splits = SPLITS
    queue = night.plan(row("a", artist="A"), row("own", artist="B", split="test"), row("b", artist="B"))
    queue.apply(night.run_id)

    found = splits(night)
    assert found["b"] == "test"
    assert found["a"] in SPLITS.shares
    assert queue.splits.book.written == {found["a"]: 1} | {"test": 1 + (found["a"] == "test")}
    assert len(before.items() - night.files().items()) == 2
    assert are_splits_whole(night.store)
    once = {key: night.store.read_bytes(key) for key in night.store.list()}
    night.plan(row("a", artist="A"), row("b", artist="B")).apply(night.run_id)
    assert {key: night.store.read_bytes(key) for key in night.store.list()} == once


def test_what_is_published_without_splits_is_found_again(night):
    night.publish("a", artist="A")
    night.plan(row("a", artist="A")).apply(night.run_id)
    assert are_splits_whole(night.store)
    night.splits = None
    night.publish("a2", artist="A")
    assert not are_splits_whole(night.store)
    night.splits = SPLITS
    night.plan().apply(night.run_id)
    assert splits(night)["a2"] == splits(night)["a"]


def test_a_correction_keeps_the_split_and_a_new_artist_brings_his(night):
    one, other = two_apart(night)
    night.publish("a", artist=one)
    night.publish("b", artist=other)
    before = splits(night)

    night.plan(row("a", artist=one, mood="wild")).apply(night.run_id)
    assert splits(night) == before

    night.plan(row("a", artist=other)).apply(night.run_id)
    assert splits(night)["a"] == before["b"]


def test_a_correction_without_the_setting_keeps_what_was_decided_and_empties_what_the_manifest_gave(night):
    night.publish("a", artist="A")
    night.publish("b", artist="B", split="own")
    found = splits(night)
    night.splits = None
    night.plan(row("a", artist="A", mood="wild"), row("b", artist="B", split=None)).apply(night.run_id)
    assert splits(night) == {"a": found["a"], "b": None}


def test_a_split_that_the_manifest_takes_back_is_that_of_the_group(night):
    night.publish("a", artist="A")
    night.publish("a2", artist="A", split="own")
    night.plan(row("a2", artist="A", split=None)).apply(night.run_id)
    assert splits(night)["a2"] == splits(night)["a"]


def test_killed_between_the_log_and_the_parts_the_next_run_publishes_what_was_decided(night):
    token = night.collect("a", artist="A")
    night.plan(row("a", artist="A"))
    decided = read_splits(night.store).number
    night.splits = SplitSettings(
        shares={"train": 0.1, "test": 0.9}, seed=5
    )  # and somebody has changed his mind
    night.publisher.publish(night.run_id, [token])
    assert read_splits(night.store).number == decided
    night.publish("a2", artist="A")
    assert len(set(splits(night).values())) == 1


def test_a_lost_log_is_made_again_from_what_the_tables_say(night):
    names = [f"Artist {number}" for number in range(6)]
    for name in names:
        night.publish(name, artist=name)
    before = splits(night)
    night.store.delete_all(list(night.store.list(SPLITS_PREFIX)))
    night.splits = SplitSettings(shares={"train": 0.5, "test": 0.5}, seed=99)
    night.plan(row("more", artist=f"{names[0]} feat. Somebody"))
    night.publish("more", artist=f"{names[0]} feat. Somebody")
    assert splits(night) == {**before, "more": before[names[0]]}


def test_a_night_without_new_rows_neither_reads_nor_writes_the_log(night):
    night.publish("a", artist="A")
    night.plan(row("a", artist="A")).apply(night.run_id)
    night.store.put_bytes(entry_key(1), b"damaged")
    assert night.plan(row("a", artist="A")).apply(night.run_id) == 0


def test_a_column_that_is_not_there_is_refused_and_the_columns_are_named(night):
    night.splits = SplitSettings(shares={"train": 1.0}, by="label")
    with pytest.raises(ConfigError, match="no text column") as refused:
        night.plan(row("a", artist="A"))
    assert "artist" in refused.value.fix
    assert "mood" in refused.value.fix


@pytest.mark.long
def test_tracks_may_be_kept_together_by_a_column_of_the_manifest(night):
    night.splits = SplitSettings(shares=SPLITS.shares, by="mood")
    night.plan(*(row(str(number), artist=str(number), mood="calm") for number in range(9)))
    for number in range(9):
        night.publish(str(number), artist=str(number), mood="calm")
    assert len(set(splits(night).values())) == 1
