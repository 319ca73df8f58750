"""A plan says when partitions would be too small."""

from __future__ import annotations

import pytest

from stemline.plan.partition_count import PartitionCount
from stemline.records import Track


@pytest.mark.parametrize(
    ("tracks", "artists", "is_warned"),
    [(1_000, 500, True), (1_000, 10, False), (20_000, 300, False), (150, 150, False)],
)
def test_many_small_partitions_are_warned_about(tracks, artists, is_warned):
    count = PartitionCount(("artist", "collected_on"))
    count.add(
        [
            Track(f"t{number}", "/a.wav", number, columns={"artist": number % artists})
            for number in range(tracks)
        ]
    )
    assert bool(count.warning) is is_warned
    if is_warned:
        assert count.warning.startswith(
            "dataset.partition_by [artist, collected_on] cuts 1,000 tracks into 500 partitions of 2 each"
        )
