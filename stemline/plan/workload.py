"""The tracks still to do: in the order a run takes them, and what they add up to."""

from __future__ import annotations

import math
from array import array
from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np


class PendingTrack(NamedTuple):
    """What a plan needs of one track still to do."""

    seconds: float | None
    """None: the provider alone knows how long it is."""
    is_upload: bool
    mix_bytes: int | None = 0
    """What its source adds to the dataset; None: nobody knows."""


@dataclass(slots=True)
class Workload:
    """What tracks still to do add up to."""

    tracks: int = 0
    uploads: int = 0
    audio_seconds: float = 0.0
    longest_seconds: float = 0.0
    credits_low: int = 0
    credits_high: int = 0
    mix_bytes: int = 0
    """What sources stored beside their stems add to the dataset."""
    unsized_mixes: int = 0
    """Of how many the size is not known."""

    def add(self, seconds: float, *, is_upload: bool, least: float | None = None) -> None:
        """Count a track. No vendor says how it rounds: rounding down is the least it costs, up is what is reserved.

        `least` is for a track of unknown length: it is `seconds` long at most.
        """
        self.tracks += 1
        self.uploads += is_upload
        self.audio_seconds += seconds
        self.longest_seconds = max(self.longest_seconds, seconds)
        self.credits_low += math.floor(seconds if least is None else least)
        self.credits_high += credits_to_reserve(seconds)

    def add_mix(self, size_bytes: int | None) -> None:
        """Count a track's mix."""
        self.mix_bytes += size_bytes or 0
        self.unsized_mixes += size_bytes is None


class WorkQueue:
    """Tracks still to do by priority, kept as bare figures: a million of them must fit into memory."""

    def __init__(self) -> None:
        """Begin with none."""
        self._priority, self._seconds, self._is_upload = array("q"), array("d"), array("b")
        self._mix_bytes = array("q")

    def add(self, priority: int, track: PendingTrack) -> None:
        """Add a track."""
        self._priority.append(priority)
        self._seconds.append(math.nan if track.seconds is None else track.seconds)
        self._is_upload.append(track.is_upload)
        self._mix_bytes.append(-1 if track.mix_bytes is None else track.mix_bytes)

    def in_order(self) -> Iterator[PendingTrack]:
        """Give the tracks by priority; those of one priority stay in the manifest's order."""
        # Places of eight bytes each, where a list would hold as many objects.
        priority = np.frombuffer(self._priority, dtype=np.int64) if self._priority else np.empty(0, np.int64)
        for index in np.argsort(-priority, kind="stable"):
            seconds = self._seconds[index]
            mix_bytes = self._mix_bytes[index]
            yield PendingTrack(
                None if math.isnan(seconds) else seconds,
                bool(self._is_upload[index]),
                None if mix_bytes < 0 else mix_bytes,
            )


def credits_to_reserve(seconds: float) -> int:
    """Give the credits a run reserves for so much audio."""
    return max(1, math.ceil(seconds))
