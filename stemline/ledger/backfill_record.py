"""What the ledger keeps of a backfill, as records: the backfill itself, its frozen rows, how far each slice is."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from enum import StrEnum
from typing import Any

from stemline.errors import LedgerConflict
from stemline.ledger.cell import dump_cells, load_cells
from stemline.ledger.row_mapping import recipe_from_name
from stemline.ledger.tables import Cells
from stemline.records import Recipe, State, Track

UNDATED = "no date"
"""The slice of rows that have none."""


class BackfillState(StrEnum):
    """What a person, or its end, has made of a backfill."""

    OPEN = "open"
    PAUSED = "paused"
    CANCELLED = "cancelled"
    FINISHED = "finished"


class BackfillOrder(StrEnum):
    """Which of its tracks go first."""

    NEWEST = "newest"
    OLDEST = "oldest"
    PRIORITY = "priority"
    SHORTEST = "shortest"


MOVES = {
    BackfillState.PAUSED: frozenset({BackfillState.OPEN}),
    BackfillState.OPEN: frozenset({BackfillState.PAUSED, BackfillState.FINISHED}),
    BackfillState.CANCELLED: frozenset({BackfillState.OPEN, BackfillState.PAUSED}),
    BackfillState.FINISHED: frozenset({BackfillState.OPEN}),
}
"""From which states a backfill gets into which; one that was cancelled stays so."""


@dataclass(frozen=True, slots=True)
class Backfill:
    """A named selection over a manifest, frozen when it began."""

    name: str
    provider: str
    recipe: Recipe
    config_digest: str
    manifest_digest: str
    """Of the rows it chose: track id, location and credits of each."""
    code_version: str
    facts: Mapping[str, Any]
    """What was known of the provider."""
    request: Mapping[str, Any]
    """What was asked for: since, until, by, where, mode, order, slice."""
    made_at: datetime
    """The instant all its questions about time refer to."""
    ceiling: int | None = None
    share: float = 1.0
    state: BackfillState = BackfillState.OPEN
    finished_at: datetime | None = None

    @property
    def order(self) -> BackfillOrder:
        """Which of its tracks go first."""
        return BackfillOrder(self.request["order"])

    def moved(self, state: BackfillState) -> Backfill:
        """Give it in another state; raises LedgerConflict for one it cannot come to from where it is."""
        if state is not self.state and self.state not in MOVES[state]:
            raise LedgerConflict(f"Backfill {self.name} is {self.state}: it cannot become {state}.")
        return replace(self, state=state)

    def require_changeable(self) -> Backfill:
        """Give it; raises LedgerConflict for one that is cancelled."""
        if self.state is BackfillState.CANCELLED:
            raise LedgerConflict(f"Backfill {self.name} is cancelled: nothing of it is changed any more.")
        return self


@dataclass(frozen=True, slots=True)
class FrozenRow:
    """One track of a backfill as it was when that began."""

    slice: str
    track: Track
    row_digest: str
    credits: int
    """What it is expected to cost at most; 0: it is paid for already."""
    dated: datetime | None = None
    last_attempt: int | None = None
    """Of a track that is to be made again whatever became of it: its last attempt before; None: it is not."""


@dataclass(frozen=True, slots=True)
class Standing:
    """Where a track stands with one recipe and provider when a backfill asks which rows it is about."""

    state: State
    location: str
    last_attempt: int
    is_failed_for_good: bool = False
    is_published_otherwise: bool = False
    """Whether it is published with another recipe or provider."""
    may_be_charged: bool = False
    """Whether it was paid for, or may have been, where it came to an end."""
    is_free: bool = False
    """Whether it is quarantined and the provider still has its outputs: they are collected again for nothing."""


@dataclass(frozen=True, slots=True)
class SliceProgress:
    """How far one slice is, from the states of its tracks."""

    slice: str
    tracks: int = 0
    credits: int = 0
    states: Mapping[str, int] = field(default_factory=dict)
    """How many tracks are in each state; `waiting` are those no run has planned yet."""

    @property
    def done(self) -> int:
        """How many are published."""
        return self.states.get(State.PUBLISHED, 0)


WAITING = "waiting"
"""Where a track of a backfill stands that no run has planned, or that is to be made again."""


def backfill_cells(backfill: Backfill) -> dict[str, Any]:
    """Give the columns of `backfills`."""
    fixed = ("name", "provider", "config_digest", "manifest_digest", "code_version", "made_at")
    return {
        **{name: getattr(backfill, name) for name in (*fixed, "ceiling", "share", "finished_at")},
        "state": str(backfill.state),
        "recipe": backfill.recipe.name,
        "facts": json.dumps(dict(backfill.facts), sort_keys=True),
        "request": json.dumps(dict(backfill.request), sort_keys=True),
    }


def backfill_from_row(row: Cells) -> Backfill:
    """Give a backfill."""
    fixed = ("name", "provider", "config_digest", "manifest_digest", "code_version", "made_at")
    return Backfill(
        **{name: row[name] for name in (*fixed, "ceiling", "share", "finished_at")},
        state=BackfillState(row["state"]),
        recipe=recipe_from_name(row["recipe"]),
        facts=json.loads(row["facts"]),
        request=json.loads(row["request"]),
    )


def frozen_cells(name: str, place: int, row: FrozenRow) -> dict[str, Any]:
    """Give the columns of `backfill_tracks` for the row at a place in the manifest's order."""
    track = row.track
    frozen = {
        "location": track.location,
        "position": track.position,
        "size_bytes": track.size_bytes,
        "columns": track.columns,
    }
    return {
        "backfill": name,
        "position": place,
        "slice": row.slice,
        "track_id": track.track_id,
        "dated": None if row.dated is None else row.dated.isoformat(timespec="microseconds"),
        "priority": track.priority,
        "duration_seconds": track.duration_seconds,
        "row_digest": row.row_digest,
        "track": dump_cells(frozen),
        "credits": row.credits,
        "last_attempt": row.last_attempt,
    }


def frozen_from_row(row: Cells) -> FrozenRow:
    """Give a frozen row."""
    frozen = load_cells(row["track"])
    track = Track(
        row["track_id"],
        frozen["location"],
        frozen["position"],
        row["priority"],
        row["duration_seconds"],
        frozen["size_bytes"],
        frozen["columns"],
    )
    dated = None if row["dated"] is None else datetime.fromisoformat(row["dated"])
    return FrozenRow(row["slice"], track, row["row_digest"], row["credits"], dated, row["last_attempt"])
