"""Two releases compared: what came, went and changed, and nothing else."""

from __future__ import annotations

import pyarrow as pa
import pytest
from support.released_dataset import ReleasedDataset

from stemline.errors import UsageError
from stemline.release.difference import compare_releases


def keys_of(table, what):
    return [row["track_id"] for row in table.rows if row["what"] == what]


@pytest.fixture
def changed(dataset):
    """A release, and one after a night, a correction and a removal; one partition is as it was."""
    dataset.publish("a", "b", day=1)
    dataset.publish("c", "d", "e", day=2)
    dataset.release("v1")
    dataset.nights = 1
    dataset.publish("c", "e", day=2, plays=8, license=None)  # over the part of the second night
    dataset.publish("f", "g", day=3)
    dataset.release("v2")
    return dataset


def test_it_tells_which_rows_came_went_and_changed_and_in_which_columns(changed):
    difference = compare_releases(changed.settings, "v2", "v1", 10)

    tracks = difference.tables["tracks"]
    assert (tracks.came, tracks.went, tracks.changed, tracks.same) == (2, 1, 2, 2)
    assert (keys_of(tracks, "came"), keys_of(tracks, "went"), keys_of(tracks, "changed")) == (
        ["f", "g"],
        ["d"],
        ["c", "e"],
    )
    assert tracks.columns == {"license": 2, "license_spdx": 2, "plays": 2}
    assert tracks.rows[-1] == {
        "what": "changed",
        "track_id": "e",
        "provider": "local",
        "recipe": "both-best-flac",
        "columns": ["license", "license_spdx", "plays"],
    }
    stems = difference.tables["stems"]
    assert (stems.came, stems.went, stems.changed, stems.same) == (4, 2, 0, 8)


def test_the_other_way_round_what_came_has_gone(changed):
    tracks = compare_releases(changed.settings, "v1", "v2", 10).tables["tracks"]
    assert (keys_of(tracks, "came"), keys_of(tracks, "went"), tracks.changed) == (["d"], ["f", "g"], 2)


def test_without_a_name_it_is_the_newest_besides_the_other(changed):
    assert compare_releases(changed.settings, None, "v1", 0).release == "v2"
    assert compare_releases(changed.settings, None, "v2", 0).release == "v1"


def test_the_numbers_are_exact_though_few_rows_are_named(changed):
    tracks = compare_releases(changed.settings, "v2", "v1", 1).tables["tracks"]
    assert (tracks.came, keys_of(tracks, "came"), keys_of(tracks, "changed")) == (2, ["f"], ["c"])


def test_a_release_is_the_same_as_itself(changed):
    tables = compare_releases(changed.settings, "v1", "v1", 10).tables
    assert [(each.same, each.rows, each.came) for each in tables.values()] == [
        (5, (), 0),
        (10, (), 0),
        (10, (), 0),
    ]


def test_the_same_rows_in_other_parts_are_the_same(changed):
    changed.release("v3")
    (key,) = [key for key in changed.store.list("releases/v3/tracks") if "11-03" in key]
    moved = key.replace("11-03", "12-24")
    changed.store.put_bytes(moved, changed.store.read_bytes(key))
    changed.store.delete(key)

    assert compare_releases(changed.settings, "v3", "v2", 10).tables["tracks"].same == 6


def test_columns_that_came_and_changed_their_type_are_told(changed):
    plain = [field for field in changed.carried if field.name not in {"plays", "genre"}]
    changed.carried = pa.schema(
        [*plain, ("plays", pa.string()), ("genre", pa.string()), ('it\'s "so"', pa.int64())]
    )
    changed.publish("h", day=1, plays="many")
    changed.release("v3")

    tracks = compare_releases(changed.settings, "v3", "v2", 10).tables["tracks"]

    assert tracks.columns_came == ['it\'s "so"']
    assert (tracks.came, tracks.went, tracks.changed) == (1, 0, 0)


def test_a_track_that_was_paid_for_twice_is_two_rows(dataset):
    dataset.publish("a", day=1)
    dataset.publish("a", day=2)
    dataset.release("v1")
    dataset.publish("a", day=3)
    dataset.release("v2")

    tracks = compare_releases(dataset.settings, "v2", "v1", 10).tables["tracks"]

    assert (tracks.came, tracks.went, tracks.same + tracks.changed) == (1, 0, 2)


def test_a_release_that_is_not_there_is_named(changed):
    for names in (("v9", "v1"), ("v1", "v9")):
        with pytest.raises(UsageError, match="v1, v2"):
            compare_releases(changed.settings, *names, 10)


def test_on_s3_it_is_the_same(bucket, s3_server):
    dataset = ReleasedDataset(f"s3://{bucket}/stems", s3_server.storage_options)
    dataset.publish("a")
    dataset.release("v1")
    dataset.publish("b")
    dataset.release("v2")

    tracks = compare_releases(dataset.settings, "v2", "v1", 10).tables["tracks"]

    assert (keys_of(tracks, "came"), tracks.same) == (["b"], 1)
