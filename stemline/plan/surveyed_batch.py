"""What a survey gives of a manifest, batch by batch."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field

from stemline.records import Code, Misstatement, Reject, Track


@dataclass(frozen=True, slots=True)
class SurveyedBatch:
    """A batch of manifest rows: the usable tracks with their length, and the rejects."""

    tracks: tuple[Track, ...]
    rejects: tuple[Reject, ...]
    passed_over: Counter[str] = field(default_factory=Counter)
    """Of a listing, with its first batch: the files that are no audio, by the ends of their names."""
    away: Mapping[str, str] = field(default_factory=dict)
    """Of tracks whose source cannot be reached now, by their ids, why: a later run asks again."""
    misstated: tuple[Misstatement, ...] = ()
    """Of the usable tracks, those whose file was opened and is not as long as the manifest says."""
    rows: int = 0
    """How many selected rows of the manifest it stands for."""

    @property
    def selected(self) -> int:
        """How many of its rows a filter or limit chose: those that do not parse, none can choose."""
        return len(self.tracks) + sum(reject.code is not Code.BAD_ROW for reject in self.rejects)
