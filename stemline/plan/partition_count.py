"""Into how many partitions a run's tracks would fall: readers open a file for each."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from stemline.records import Track

MOST_COUNTED = 100_000
FEW_PARTITIONS = 200
FEW_TRACKS = 50
"""Fewer tracks than so many in the average partition make its files too small to be worth opening."""


@dataclass
class PartitionCount:
    """Counts the partitions that the manifest's own columns make."""

    partition_by: Sequence[str]
    tracks: int = 0
    _values: set[tuple[str, ...]] = field(default_factory=set)

    def add(self, tracks: Sequence[Track]) -> None:
        """Take in rows that are to be published."""
        self.tracks += len(tracks)
        for track in tracks:
            if len(self._values) < MOST_COUNTED:
                self._values.add(tuple(str(track.columns.get(name)) for name in self.partition_by))

    @property
    def warning(self) -> str:
        """What is wrong with the partitions, and what to do; empty where nothing is."""
        count = len(self._values)
        if count < FEW_PARTITIONS or self.tracks >= FEW_TRACKS * count:
            return ""
        names = ", ".join(self.partition_by)
        return (
            f"dataset.partition_by [{names}] cuts {self.tracks:,} tracks into {count:,} partitions of "
            f"{max(1, round(self.tracks / count)):,} each, and readers open a file for every one: leave out what has "
            "many values, a filter on a column is as fast."
        )
