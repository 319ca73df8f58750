"""Tracks with no attempt under way: planned, given in order, held back, planned again."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any, NamedTuple

from sqlalchemy import ColumnElement, Connection, RowMapping, Select, and_, func, not_, or_, select

from stemline.ledger.database import LedgerDatabase
from stemline.ledger.lookup import these_tracks
from stemline.ledger.membership import (
    is_large,
    is_looked_up,
    is_waiting,
    next_members,
    of_living_runs,
    of_provider,
    of_run,
    was_held_before,
)
from stemline.ledger.planning import PlanChunk, PlanCounts, plan_chunk, require_tombstones
from stemline.ledger.repetition import once, repeating_verbs
from stemline.ledger.row_mapping import TrackStatus, status_from_row, track_from_row
from stemline.ledger.run import ROWS_A_STATEMENT, find_run
from stemline.ledger.tables import QUEUE_ORDER, Cells, backfill_tracks, tracks
from stemline.ledger.transition import TrackTransition, move_tracks
from stemline.records import Code, Recipe, State, Track

MANY = 5_000
"""Of a run about more tracks than these the queue is read in its order, of a smaller one track by track."""
ROWS_A_MOVE = 5_000
"""So many tracks are moved in one transaction: whoever else wants the ledger waits no longer."""
_STATES = {str(state): state for state in State}


class WrittenRow(NamedTuple):
    """What the ledger has of a track's manifest row; of a published one, as it was when it was made."""

    columns: str
    """As `load_cells` reads them; kept up to date where the tables are."""
    location: str | None


@repeating_verbs
class Tracks:
    """The tracks that have no attempt under way, and where any track stands."""

    def __init__(self, database: LedgerDatabase) -> None:
        self._database = database

    @once
    def plan(  # noqa: PLR0913 - what is known of the rows
        self,
        run_id: str,
        rows: Sequence[Track],
        *,
        max_attempts: int = 3,
        away: Mapping[str, str] | None = None,
        tombstones_known: int | None = None,
        again: Mapping[str, int] | None = None,
    ) -> PlanCounts:
        """Select tracks for a run; `away` says of those whose source cannot be reached now why: they fail.

        A new track becomes planned. A known one keeps its state and history; it returns to planned when it
        was held or rejected, or failed retryably fewer than `max_attempts` times. Until it is published its
        position, priority and columns follow the manifest. What happens to a track depends on its id alone,
        never on order or on how many come in one call. A track in `again` that came to a bad end is planned again
        whatever its failures, as long as its last attempt is the one given.

        A published track of `again` is planned again, and so paid for again, when its newest attempt has the number
        said there (as `remakes.numbers` gave it). With a later one it was made again already, or that was tried in
        vain: it stays published, however often it is asked for. Where nobody asks for it any more, a track that waits
        to be made again stands as published.

        Raises TombstonesAdded, and plans nothing, when the ledger has more tombstones than the rows were held against
        (`tombstones_known`; None: they were not).
        """
        counted: Counter[str] = Counter()
        now = self._database.clock()
        with self._database.write() as connection:
            run = find_run(connection, run_id)
            require_tombstones(connection, tombstones_known)
            for start in range(0, len(rows), ROWS_A_STATEMENT):
                chunk = {row.track_id: row for row in rows[start : start + ROWS_A_STATEMENT]}
                shared_now = self._database.shared_now(connection)
                wanted = PlanChunk(run, chunk, max_attempts, away or {}, again or {}, shared_now)
                counted.update(plan_chunk(connection, now, wanted))
        return PlanCounts(counted["new"], counted["known"], counted["revived"])

    def next_planned(
        self, run_id: str, limit: int, *, after: Track | None = None, left_by: str | None = None
    ) -> list[Track]:
        """Give the run's next tracks, planned or held by an earlier night, in the order of the queue.

        Of a run that is part of a backfill, in that one's order. `after` is the last track of the previous page; a
        track planned again before it is found again by asking without. `left_by` asks for the tracks of an earlier
        run, before they are this one's.
        """
        with self._database.read() as connection:
            run = dict(find_run(connection, run_id))
            if left_by is None and run["backfill"] is not None:
                query = _in_backfill_order(run, after).limit(limit)
                return [track_from_row(row) for row in connection.execute(query).mappings()]
            query = select(tracks).order_by(*QUEUE_ORDER).limit(limit)
            if after is not None:
                query = query.where(_behind(after))
            # Each state by itself is read in the queue's order from its index, the two together are not.
            waiting = _waiting(connection, run | {"run_id": left_by or run_id})
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

    def reject(self, run_id: str, track_ids: Collection[str], code: Code, sentence: str) -> int:
        """Reject those of these tracks (at most some 1,000) of the run that wait to be sent, and give how many."""
        unusable = frozenset(track_ids)

        def refused(_: Connection, run: RowMapping) -> ColumnElement[bool]:
            return and_(is_waiting(run), tracks.c.track_id.in_(unusable))

        return self._move(run_id, refused, TrackTransition("reject", State.REJECTED, code, sentence))

    def retry_failed(self, run_id: str, *, max_attempts: int = 3) -> int:
        """Plan the run's retryable failures again while they have attempts left, and give how many."""

        def failed(*_: object) -> ColumnElement[bool]:
            may_fail_again = and_(tracks.c.is_retryable, tracks.c.failures < max_attempts)
            return and_(tracks.c.state == State.FAILED, may_fail_again, not_(is_away()))

        return self._move(run_id, failed, TrackTransition("retry_failed", State.PLANNED, run_id=run_id))

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

    def written(self, provider: str, recipe: Recipe, track_ids: Collection[str]) -> dict[str, WrittenRow]:
        """Give the manifest's row of each of these tracks (at most 10,000) as the ledger has it."""
        query = select(tracks.c.track_id, tracks.c.columns, tracks.c.location).where(
            these_tracks({"recipe": recipe.name, "provider": provider}, track_ids)
        )
        with self._database.read() as connection:
            found = connection.execute(query).all()
        return {track_id: WrittenRow(text or "{}", location) for track_id, text, location in found}


def _waiting(connection: Connection, run: Cells) -> tuple[ColumnElement[bool], ...]:
    """Give clauses for the run's tracks that wait to be sent, read the way that takes the fewest rows."""
    if is_large(connection, run["run_id"], MANY):
        mine = and_(of_provider(run), is_looked_up(run["run_id"]))
        return and_(mine, tracks.c.state == State.PLANNED), and_(mine, was_held_before(run))
    # The state as an expression: its index would go through all that other runs left planned.
    is_either = func.coalesce(tracks.c.state, "").in_([State.PLANNED, State.HELD])
    return (and_(of_run(run), is_either, is_waiting(run)),)


def _in_backfill_order(run: Cells, after: Track | None) -> Select[Any]:
    """Give the query for the waiting tracks of a backfill's run, as that one has put them in order."""
    frozen = backfill_tracks
    query = (
        select(tracks)
        .join(frozen, and_(frozen.c.track_id == tracks.c.track_id, frozen.c.backfill == run["backfill"]))
        .where(of_run(run), is_waiting(run))
        .order_by(frozen.c.position)
    )
    if after is None:
        return query
    of_after = and_(frozen.c.backfill == run["backfill"], frozen.c.track_id == after.track_id)
    behind = select(frozen.c.position).where(of_after).correlate(None).scalar_subquery()
    return query.where(frozen.c.position > behind)


def is_away() -> ColumnElement[bool]:
    """Give the clause for tracks whose source was not reached and that were sent nowhere: a run looks at it first."""
    return and_(
        tracks.c.state == State.FAILED,
        tracks.c.code == Code.SOURCE_UNREACHABLE,
        tracks.c.failures == 0,
    )


def _behind(after: Track) -> ColumnElement[bool]:
    same_priority = tracks.c.priority == after.priority
    return or_(
        tracks.c.priority < after.priority,
        and_(same_priority, tracks.c.position > after.position),
        and_(same_priority, tracks.c.position == after.position, tracks.c.track_id > after.track_id),
    )
