"""Releases are found by their records, and half a one is none."""

from __future__ import annotations

import pytest

from stemline.errors import StorageError, UsageError
from stemline.release.record import list_releases, require_release


@pytest.fixture
def published(dataset):
    dataset.publish("a")
    return dataset


def test_releases_are_listed_by_age_and_half_a_one_apart(published):
    published.release("v2")
    published.release("v1")
    published.store.put_bytes("releases/v3/tracks/part-0001.parquet", b"PAR1")

    releases, unfinished = list_releases(published.store)

    assert [each.name for each in releases] == ["v2", "v1"]
    assert unfinished == ["v3"]
    with pytest.raises(UsageError, match="v2, v1"):
        require_release(published.store, "v3")


def test_a_record_that_somebody_altered_is_told(published):
    published.release("v1")
    for data in (b"{}", b"[1]", b"{", b'{"release": 1}'):
        published.store.put_bytes("releases/v1/release.json", data)
        with pytest.raises(StorageError, match="cannot be read"):
            list_releases(published.store)
