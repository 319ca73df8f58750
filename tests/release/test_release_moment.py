"""A release holds whole batches, also of a dataset that somebody is publishing in."""

from __future__ import annotations

import pytest

from stemline.run import releasing
from stemline.storage.local_store import LocalStore


def remove(dataset, *starts):
    for key in list(dataset.store.list("")):
        if key.startswith(starts) and f"{dataset.nights:020x}" in key:
            dataset.store.delete(key)


@pytest.fixture
def published(dataset):
    dataset.publish("a")
    dataset.publish("b")
    return dataset


def test_a_batch_whose_tracks_are_not_there_yet_is_left_out_and_named(published):
    remove(published, "tracks/")

    release = published.release("v1")

    assert [row["track_id"] for row in published.rows("v1", "stems")] == ["a", "a"]
    assert (release.counts["tracks"], release.counts["stems"], release.counts["activity"]) == (1, 2, 2)
    left_out = published.record("v1")["snapshot"]["left_out"]
    assert sorted(key.partition("/")[0] for key in left_out) == ["activity", "stems"]


def test_a_batch_that_comes_between_the_listings_of_two_tables_is_left_out(published, monkeypatch):
    class Busy(LocalStore):
        """Somebody publishes each time when the stems are listed and the tracks are not."""

        def list(self, prefix=""):
            if prefix == "tracks" and published.nights < 9:
                published.publish(f"new {published.nights}")
            return super().list(prefix)

    monkeypatch.setattr(releasing, "open_store", lambda *_: Busy(published.url))

    release = published.release("v1")

    assert 2 <= release.counts["tracks"] < published.nights
    assert release.counts["tracks"] * 2 == release.counts["stems"] == release.counts["activity"]


def test_tracks_whose_stems_are_gone_are_in_it_as_they_are_in_the_dataset(published):
    remove(published, "stems/", "activity/")

    release = published.release("v1")

    assert (release.counts["tracks"], release.counts["stems"]) == (2, 2)
