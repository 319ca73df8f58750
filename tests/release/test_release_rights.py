"""Releases of those tracks alone whose rights pass a gate."""

from __future__ import annotations

import json
from datetime import UTC, datetime

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from stemline.dataset.licenses import read_licenses
from stemline.errors import UsageError
from stemline.forgetting.order import ForgetOrder, OrderedTrack
from stemline.forgetting.releases import ReleasesPlace
from stemline.integrity.release_check import ReleaseCheck
from stemline.rights import RightsGate
from stemline.run.releasing import release_dataset
from stemline.tombstone import Tombstone

GATE = RightsGate(frozenset({"CC-BY-4.0", "MIT"}), is_ai_training_required=True)
REASONS = {"AI training is denied": 1, "the license is unknown; AI training is unknown": 1}


def publish(dataset):
    dataset.carried = dataset.carried.append(pa.field("ai_training", pa.string()))
    dataset.publish("a", "b", ai_training="yes")
    dataset.publish("c", ai_training="no", license="mit or Zlib", day=1)
    dataset.publish("d", license="All rights reserved")
    return dataset


@pytest.mark.parametrize("audio", ["objects", "embedded"])
@pytest.mark.parametrize("partition_by", [("provider", "collected_on"), ()])
def test_only_what_passes_is_in_any_table_and_the_rest_is_listed(dataset, partition_by, audio):
    dataset.partition_by, dataset.audio = partition_by, audio
    publish(dataset)

    release = release_dataset(dataset.settings, "v1", gate=GATE)

    for table in ("tracks", "stems", "activity"):
        assert {row["track_id"] for row in dataset.rows("v1", table)} == {"a", "b"}
    assert {row["track_id"]: row["refusal"] for row in dataset.rows("v1", "refused")} == {
        "c": "AI training is denied",
        "d": "the license is unknown; AI training is unknown",
    }
    counts = release.counts
    assert (counts["tracks"], counts["stems"]) == (2, 4)
    assert (counts["licenses_spdx"], counts["ai_training"]) == ({"CC-BY-4.0": 2}, {"allowed": 2})
    check = ReleaseCheck(dataset.store)
    check.run()
    assert (check.count, check.damages, check.leftovers) == (1, [], [])


def test_record_card_and_croissant_say_what_was_let_in(dataset):
    publish(dataset)
    release_dataset(dataset.settings, "v1", gate=GATE)

    assert dataset.record("v1")["rights"] == {
        "gate": {"licenses": ["CC-BY-4.0", "MIT"], "ai_training": True},
        "refused": {"tracks": 2, "reasons": REASONS},
    }
    card = dataset.store.read_bytes("releases/v1/README.md").decode()
    assert "only tracks licensed under CC-BY-4.0 or MIT and on which AI training is allowed" in card
    assert "2 tracks did not pass" in card
    assert "| AI training is denied | 1 |" in card
    croissant = json.loads(dataset.store.read_bytes("releases/v1/croissant.json"))
    assert croissant["license"] == ["https://spdx.org/licenses/CC-BY-4.0.html"]
    assert not {"odrl:prohibition", "odrl:obligation"} & croissant["usageInfo"].keys()


def test_without_a_gate_all_are_in_it_and_the_terms_tell_them_apart(dataset):
    publish(dataset).release("v1")

    assert len(dataset.rows("v1")) == 4
    assert "rights" not in dataset.record("v1")
    croissant = json.loads(dataset.store.read_bytes("releases/v1/croissant.json"))
    assert croissant["license"] == ["https://spdx.org/licenses/CC-BY-4.0.html", "MIT OR Zlib", "unknown"]
    terms = croissant["usageInfo"]
    (denied,), (unknown,) = terms["odrl:prohibition"], terms["odrl:obligation"]
    assert [each["odrl:constraint"][0]["odrl:rightOperand"] for each in (denied, unknown)] == [
        "denied",
        "unknown",
    ]
    assert unknown["odrl:action"] == {"@id": "odrl:obtainConsent"}


def test_where_nothing_passes_no_release_is_made(dataset):
    publish(dataset)

    with pytest.raises(UsageError) as refused:
        release_dataset(dataset.settings, "v1", gate=RightsGate(frozenset({"CC0-1.0"})))

    assert "Of 4 tracks none passes the gate: the license CC-BY-4.0 is not allowed (2)" in str(refused.value)
    assert not list(dataset.store.list("releases"))


def test_a_name_that_is_taken_is_refused_whatever_the_gate(dataset):
    publish(dataset).release("v1")

    with pytest.raises(UsageError, match="a release never changes"):
        release_dataset(dataset.settings, "v1", gate=GATE)


def test_what_is_forgotten_leaves_the_list_of_refused_tracks_too(dataset):
    publish(dataset)
    release_dataset(dataset.settings, "v1", gate=GATE)
    stone = Tombstone("1", datetime(2026, 11, 28, tzinfo=UTC), "track", "asked", "x", "s")
    order, place = ForgetOrder(stone, (OrderedTrack("c"),)), ReleasesPlace(dataset.store)
    assert (place.find(order).rows, place.find(order).names) == (1, ("v1",))

    place.empty(order)

    assert not place.find(order)
    assert [row["track_id"] for row in dataset.rows("v1", "refused")] == ["d"]
    check = ReleaseCheck(dataset.store)
    check.run()
    assert check.damages == []


@pytest.mark.parametrize("is_old", [False, True])
def test_the_licenses_of_a_dataset_are_known_whatever_its_version(dataset, is_old):
    publish(dataset)
    if is_old:
        for key in list(dataset.store.list("tracks")):
            table = dataset.part(key).drop_columns(["license_spdx"])
            dataset.store.put_bytes(key, written(table))

    assert read_licenses(dataset.store) == ["CC-BY-4.0", "MIT OR Zlib"]


def written(table):
    sink = pa.BufferOutputStream()
    pq.write_table(table, sink)
    return sink.getvalue().to_pybytes()
