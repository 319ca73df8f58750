"""Tracks with no attempt under way: planned, given in order, held back, planned again."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import ColumnElement, Connection, and_, func, not_, or_, select

from stemline.ledger.database import LedgerDatabase
from stemline.ledger.membership import add_members, is_large, of_living_runs, of_provider, of_run
from stemline.ledger.planning import PlanChunk, PlanCounts, plan_chunk
from stemline.ledger.quarantine import is_collectable
from stemline.ledger.repetition import once, repeating_verbs
from stemline.ledger.row_mapping import TrackStatus, status_from_row, track_from_row
from stemline.ledger.run import ROWS_A_STATEMENT, find_run
from stemline.ledger.tables import QUEUE_ORDER, tracks
from stemline.ledger.transition import TrackTransition, move_tracks
from stemline.records import Code, Recipe, State, Track

REDRIVEN = (State.FAILED, State.QUARANTINED, State.EXPIRED)
MANY = 5_000
"""Of a run about more tracks than these the queue is read in its order, of a smaller one track by track."""


@dataclass(frozen=True, slots=True)
class RedriveGroup:
    """Tracks of one state and code that a redrive would plan again."""

    state: State
    code: Code
    tracks: int
    credits: int
    """What those of known length would cost."""
    unmeasured: int
    """How many have no known length."""
    is_free: bool = False
    """Whether they are paid and the provider still has their outputs: they are collected again for nothing."""

    @property
    def is_paid_again(self) -> bool:
        """Whether they were, or may have been, charged before."""
        return not self.is_free and (self.state is not State.FAILED or self.code is Code.SUBMIT_UNANSWERED)


@repeating_verbs
class Tracks:
    """The tracks that have no attempt under way, and where any track stands."""

    def __init__(self, database: LedgerDatabase) -> None:
        self._database = database

    @once
    def plan(self, run_id: str, rows: Sequence[Track], *, max_attempts: int = 3) -> PlanCounts:
        """Select tracks for a run.

        A new track becomes planned. A known one keeps its state and history; it returns to planned when it
        was held or rejected, or failed retryably fewer than `max_attempts` times. Until it is published its
        position, priority and columns follow the manifest. What happens to a track depends on its id alone,
        never on order or on how many come in one call.
        """
        counted: Counter[str] = Counter()
        now = self._database.clock()
        with self._database.write() as connection:
            run = find_run(connection, run_id)
            for start in range(0, len(rows), ROWS_A_STATEMENT):
                chunk = {row.track_id: row for row in rows[start : start + ROWS_A_STATEMENT]}
                counted.update(plan_chunk(connection, now, PlanChunk(run, chunk, max_attempts)))
        return PlanCounts(counted["new"], counted["known"], counted["revived"])

    def next_planned(self, run_id: str, limit: int, *, after: Track | None = None) -> list[Track]:
        """Give the run's next planned tracks, highest priority first, then in the manifest's order.

        `after` is the last track of the previous page; a track planned again before it is found again by
        asking without.
        """
        query = select(tracks).order_by(*QUEUE_ORDER).limit(limit)
        if after is not None:
            query = query.where(_behind(after))
        with self._database.read() as connection:
            query = query.where(_planned(connection, run_id))
            return [track_from_row(row) for row in connection.execute(query).mappings()]

    def hold(self, run_id: str, code: Code, sentence: str) -> int:
        """Hold back every track of the run that is still planned, and give how many.

        What another living run is about as well is left to it.
        """
        transition = TrackTransition("hold", State.HELD, code, sentence)
        with self._database.write() as connection:
            others = of_living_runs(run_id, self._database.shared_now(connection))
            mine = and_(of_run(find_run(connection, run_id)), not_(others), tracks.c.state == State.PLANNED)
            return move_tracks(connection, self._database.clock(), mine, transition)

    def retry_failed(self, run_id: str, *, max_attempts: int = 3) -> int:
        """Plan the run's retryable failures again while they have attempts left, and give how many."""
        transition = TrackTransition("retry_failed", State.PLANNED, run_id=run_id)
        with self._database.write() as connection:
            chosen = and_(
                of_run(find_run(connection, run_id)),
                tracks.c.state == State.FAILED,
                tracks.c.is_retryable,
                tracks.c.failures < max_attempts,
            )
            return move_tracks(connection, self._database.clock(), chosen, transition)

    def redrive(self, run_id: str, codes: Collection[Code] | None = None, *, limit: int | None = None) -> int:
        """Select whatever failed, of this recipe and provider, for this run and plan it again.

        A person asked for it, so attempts left do not matter. `codes` narrows it down, `limit` to the first in
        the order of the queue. A track that is quarantined, expired, or given up without knowing whether it was
        charged will be paid for again: it only goes when its code is named.
        """
        transition = TrackTransition("redrive", State.PLANNED, run_id=run_id)
        with self._database.write() as connection:
            chosen = _redriven(of_provider(find_run(connection, run_id)), codes, limit)
            add_members(connection, run_id, chosen)
            return move_tracks(connection, self._database.clock(), chosen, transition)

    def redrivable(
        self,
        provider: str,
        recipe: Recipe,
        codes: Collection[Code] | None = None,
        *,
        limit: int | None = None,
        kept_since: datetime | None = None,
    ) -> list[RedriveGroup]:
        """Give what `redrive` would plan again, by state and code.

        With `kept_since`, what is quarantined and was sent since then is not among it: it is collected again instead.
        """
        ours = of_provider({"recipe": recipe.name, "provider": provider})
        if kept_since is not None:
            ours = and_(ours, not_(is_collectable(kept_since)))
        return self._groups(_redriven(ours, codes, limit), is_free=False)

    def collectable(
        self,
        provider: str,
        recipe: Recipe,
        kept_since: datetime,
        codes: Collection[Code] | None = None,
        *,
        limit: int | None = None,
    ) -> list[RedriveGroup]:
        """Give what a redrive would collect again for nothing, by code."""
        ours = of_provider({"recipe": recipe.name, "provider": provider})
        named = [] if codes is None else [tracks.c.code.in_(list(codes))]
        chosen = and_(ours, is_collectable(kept_since), *named)
        return self._groups(_first_of(chosen, limit), is_free=True)

    def _groups(self, chosen: ColumnElement[bool], *, is_free: bool) -> list[RedriveGroup]:
        credits_known = func.coalesce(func.sum(tracks.c.credits), 0)
        query = (
            select(tracks.c.state, tracks.c.code, func.count(), credits_known, func.count(tracks.c.credits))
            .where(chosen)
            .group_by(tracks.c.state, tracks.c.code)
            .order_by(tracks.c.state, tracks.c.code)
        )
        with self._database.read() as connection:
            return [
                RedriveGroup(State(state), Code(code), count, int(cost), count - measured, is_free)
                for state, code, count, cost, measured in connection.execute(query)
            ]

    def status(self, run_id: str, track_ids: Collection[str]) -> dict[str, TrackStatus]:
        """Give the standing of each of these tracks (at most 10,000) that the ledger knows."""
        with self._database.read() as connection:
            run = find_run(connection, run_id)
            query = select(tracks).where(of_provider(run), tracks.c.track_id.in_(list(track_ids)))
            return {row["track_id"]: status_from_row(row) for row in connection.execute(query).mappings()}

    def states(self, provider: str, recipe: Recipe, track_ids: Collection[str]) -> dict[str, State]:
        """Give where each of these tracks (at most 10,000) stands with a provider and recipe, if it is known."""
        query = select(tracks.c.track_id, tracks.c.state).where(
            tracks.c.provider == provider,
            tracks.c.recipe == recipe.name,
            tracks.c.track_id.in_(list(track_ids)),
        )
        with self._database.read() as connection:
            return {track_id: State(state) for track_id, state in connection.execute(query)}

    def columns(self, provider: str, recipe: Recipe, track_ids: Collection[str]) -> dict[str, str]:
        """Give the manifest's columns of each of these tracks (at most 10,000), as `load_cells` reads them."""
        query = select(tracks.c.track_id, tracks.c.columns).where(
            tracks.c.provider == provider,
            tracks.c.recipe == recipe.name,
            tracks.c.track_id.in_(list(track_ids)),
        )
        with self._database.read() as connection:
            return {track_id: text or "{}" for track_id, text in connection.execute(query)}


def _planned(connection: Connection, run_id: str) -> ColumnElement[bool]:
    """Give the clause for the run's planned tracks, read the way that takes the fewest rows."""
    run = find_run(connection, run_id)
    if is_large(connection, run_id, MANY):
        return and_(of_run(run), tracks.c.state == State.PLANNED)
    # The state as an expression: its index would go through all that other runs left planned.
    return and_(of_run(run), func.coalesce(tracks.c.state, "") == State.PLANNED)


def _redriven(
    ours: ColumnElement[bool], codes: Collection[Code] | None, limit: int | None
) -> ColumnElement[bool]:
    if codes is None:
        chosen = and_(ours, tracks.c.state == State.FAILED, tracks.c.code != Code.SUBMIT_UNANSWERED)
    else:
        chosen = and_(ours, tracks.c.state.in_(REDRIVEN), tracks.c.code.in_(list(codes)))
    return _first_of(chosen, limit)


def _first_of(chosen: ColumnElement[bool], limit: int | None) -> ColumnElement[bool]:
    """Give the clause for the first of the chosen tracks in the order of the queue."""
    if limit is None:
        return chosen
    first = select(tracks.c.track_id).where(chosen).order_by(*QUEUE_ORDER).limit(limit).correlate(None)
    return and_(chosen, tracks.c.track_id.in_(first))


def _behind(after: Track) -> ColumnElement[bool]:
    same_priority = tracks.c.priority == after.priority
    return or_(
        tracks.c.priority < after.priority,
        and_(same_priority, tracks.c.position > after.position),
        and_(same_priority, tracks.c.position == after.position, tracks.c.track_id > after.track_id),
    )
