"""Tracks with no attempt under way: planned, given in order, held back, planned again."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import ColumnElement, Connection, RowMapping, and_, func, not_, or_, select

from stemline.ledger.database import LedgerDatabase
from stemline.ledger.lookup import these_tracks
from stemline.ledger.membership import (
    add_members,
    is_large,
    is_waiting,
    next_members,
    of_living_runs,
    of_provider,
    of_run,
    was_held_before,
)
from stemline.ledger.planning import PlanChunk, PlanCounts, plan_chunk
from stemline.ledger.quarantine import is_collectable
from stemline.ledger.repetition import once, repeating_verbs
from stemline.ledger.row_mapping import TrackStatus, status_from_row, track_from_row
from stemline.ledger.run import ROWS_A_STATEMENT, find_run
from stemline.ledger.tables import QUEUE_ORDER, tracks
from stemline.ledger.transition import TrackTransition, move_tracks
from stemline.records import Code, Recipe, State, Track

REDRIVEN = (State.FAILED, State.QUARANTINED, State.EXPIRED)
MAY_BE_CHARGED = (Code.SUBMIT_UNANSWERED, Code.JOB_LOST)
"""Failed, and nobody can tell any more whether it was charged: it is tried again only by its name."""
MANY = 5_000
"""Of a run about more tracks than these the queue is read in its order, of a smaller one track by track."""
ROWS_A_MOVE = 5_000
"""So many tracks are moved in one transaction: whoever else wants the ledger waits no longer."""
_STATES = {str(state): state for state in State}


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
        return not self.is_free and (self.state is not State.FAILED or self.code in MAY_BE_CHARGED)


@repeating_verbs
class Tracks:
    """The tracks that have no attempt under way, and where any track stands."""

    def __init__(self, database: LedgerDatabase) -> None:
        self._database = database

    @once
    def plan(
        self,
        run_id: str,
        rows: Sequence[Track],
        *,
        max_attempts: int = 3,
        away: Mapping[str, str] | None = None,
    ) -> PlanCounts:
        """Select tracks for a run; `away` says of those whose source cannot be reached now why: they fail.

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
                counted.update(plan_chunk(connection, now, PlanChunk(run, chunk, max_attempts, away or {})))
        return PlanCounts(counted["new"], counted["known"], counted["revived"])

    def next_planned(self, run_id: str, limit: int, *, after: Track | None = None) -> list[Track]:
        """Give the run's next tracks, planned or held by an earlier night, in the order of the queue.

        `after` is the last track of the previous page; a track planned again before it is found again by
        asking without.
        """
        query = select(tracks).order_by(*QUEUE_ORDER).limit(limit)
        if after is not None:
            query = query.where(_behind(after))
        with self._database.read() as connection:
            # Each state by itself is read in the queue's order from its index, the two together are not.
            waiting = _waiting(connection, run_id)
            rows = [row for each in waiting for row in connection.execute(query.where(each)).mappings()]
        found = sorted(map(track_from_row, rows), key=lambda row: (-row.priority, row.position, row.track_id))
        return found[:limit]

    def hold(self, run_id: str, code: Code, sentence: str, *, is_further: bool = False) -> int:
        """Hold back every track of the run that still waits to be sent, and give how many that changes.

        What another living run is about as well is left to it; what an earlier night held for the same reason
        stands as it stood. With `is_further`, so does what it held for any: the run has said already why.
        """

        def held(connection: Connection, run: RowMapping) -> ColumnElement[bool]:
            others = of_living_runs(run_id, self._database.shared_now(connection))
            is_planned = tracks.c.state == State.PLANNED
            is_other = is_planned if is_further else or_(is_planned, tracks.c.code != code)
            return and_(not_(others), is_waiting(run), is_other)

        return self._move(run_id, held, TrackTransition("hold", State.HELD, code, sentence))

    def retry_failed(self, run_id: str, *, max_attempts: int = 3) -> int:
        """Plan the run's retryable failures again while they have attempts left, and give how many."""

        def failed(*_: object) -> ColumnElement[bool]:
            may_fail_again = and_(tracks.c.is_retryable, tracks.c.failures < max_attempts)
            return and_(tracks.c.state == State.FAILED, may_fail_again, not_(_is_away()))

        return self._move(run_id, failed, TrackTransition("retry_failed", State.PLANNED, run_id=run_id))

    def redrive(
        self,
        run_id: str,
        codes: Collection[Code] | None = None,
        *,
        limit: int | None = None,
        kept_since: datetime | None = None,
    ) -> int:
        """Select whatever failed, of this recipe and provider, for this run and plan it again.

        A person asked for it, so attempts left do not matter. `codes` narrows it down, `limit` to the first in
        the order of the queue. A track that is quarantined, expired, or given up without knowing whether it was
        charged will be paid for again: it only goes when its code is named, and not as long as it can be collected
        again for nothing: what was sent after `kept_since`.
        """
        transition = TrackTransition("redrive", State.PLANNED, run_id=run_id)
        with self._database.write() as connection:
            ours = _without_collectable(of_provider(find_run(connection, run_id)), kept_since)
            chosen = _redriven(ours, codes, limit)
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
        ours = _without_collectable(of_provider({"recipe": recipe.name, "provider": provider}), kept_since)
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

    def _move(
        self,
        run_id: str,
        choose: Callable[[Connection, RowMapping], ColumnElement[bool]],
        transition: TrackTransition,
    ) -> int:
        """Move the tracks of the run that a clause chooses, a slice in each transaction; give how many.

        They are looked for without the ledger's lock, and looked at again with it. Whatever is cut off leaves whole
        slices, and the rest as it was.
        """
        moved, after = 0, ""
        while True:
            with self._database.read() as connection:
                run = find_run(connection, run_id)
                some = next_members(connection, run_id, after, ROWS_A_MOVE)
                chosen = and_(these_tracks(run, some), choose(connection, run))
                found = list(connection.scalars(select(tracks.c.track_id).where(chosen)))
            if found:
                with self._database.write() as connection:
                    chosen = and_(these_tracks(run, found), choose(connection, run))
                    moved += move_tracks(connection, self._database.clock(), chosen, transition)
            if len(some) < ROWS_A_MOVE:
                return moved
            after = some[-1]

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
            query = select(tracks).where(these_tracks(run, track_ids))
            return {row["track_id"]: status_from_row(row) for row in connection.execute(query).mappings()}

    def states(self, provider: str, recipe: Recipe, track_ids: Collection[str]) -> dict[str, State]:
        """Give where each of these tracks (at most 10,000) stands with a provider and recipe, if it is known."""
        query = select(tracks.c.track_id, tracks.c.state).where(
            these_tracks({"recipe": recipe.name, "provider": provider}, track_ids)
        )
        with self._database.read() as connection:
            return {track_id: _STATES[state] for track_id, state in connection.execute(query).all()}

    def columns(self, provider: str, recipe: Recipe, track_ids: Collection[str]) -> dict[str, str]:
        """Give the manifest's columns of each of these tracks (at most 10,000), as `load_cells` reads them."""
        query = select(tracks.c.track_id, tracks.c.columns).where(
            these_tracks({"recipe": recipe.name, "provider": provider}, track_ids)
        )
        with self._database.read() as connection:
            return {track_id: text or "{}" for track_id, text in connection.execute(query).all()}


def _waiting(connection: Connection, run_id: str) -> tuple[ColumnElement[bool], ...]:
    """Give clauses for the run's tracks that wait to be sent, read the way that takes the fewest rows."""
    run = find_run(connection, run_id)
    if is_large(connection, run_id, MANY):
        return and_(of_run(run), tracks.c.state == State.PLANNED), and_(of_run(run), was_held_before(run))
    # The state as an expression: its index would go through all that other runs left planned.
    is_either = func.coalesce(tracks.c.state, "").in_([State.PLANNED, State.HELD])
    return (and_(of_run(run), is_either, is_waiting(run)),)


def _without_collectable(ours: ColumnElement[bool], kept_since: datetime | None) -> ColumnElement[bool]:
    return ours if kept_since is None else and_(ours, not_(is_collectable(kept_since)))


def _redriven(
    ours: ColumnElement[bool], codes: Collection[Code] | None, limit: int | None
) -> ColumnElement[bool]:
    if codes is None:
        chosen = and_(ours, tracks.c.state == State.FAILED, tracks.c.code.not_in(MAY_BE_CHARGED))
    else:
        chosen = and_(ours, tracks.c.state.in_(REDRIVEN), tracks.c.code.in_(list(codes)))
    return _first_of(and_(chosen, not_(_is_away())), limit)


def _is_away() -> ColumnElement[bool]:
    """Give the clause for tracks whose source was not reached and that were sent nowhere: a run looks at it first."""
    return and_(
        tracks.c.state == State.FAILED,
        tracks.c.code == Code.SOURCE_UNREACHABLE,
        tracks.c.failures == 0,
    )


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
