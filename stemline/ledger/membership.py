"""What a run is about: tracks of its own, which other runs may be about as well."""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime

from sqlalchemy import ColumnElement, Connection, and_, func, literal, not_, or_, select

from stemline.ledger.lookup import one_of
from stemline.ledger.tables import Cells, leases, run_tracks, runs, tracks
from stemline.records import State


def of_provider(run: Cells) -> ColumnElement[bool]:
    """Give the clause for all tracks of a run's recipe and provider."""
    return and_(tracks.c.recipe == run["recipe"], tracks.c.provider == run["provider"])


def of_run(run: Cells) -> ColumnElement[bool]:
    """Give the clause for the tracks that a run is about and that were not published before it began."""
    return and_(of_provider(run), is_member(run["run_id"]))


def is_member(run_id: str) -> ColumnElement[bool]:
    """Give the clause for the tracks, of whichever recipe, that a run is about."""
    return tracks.c.track_id.in_(select(run_tracks.c.track_id).where(run_tracks.c.run_id == run_id))


def is_looked_up(run_id: str) -> ColumnElement[bool]:
    """Give the clause of `is_member` for a query that reads few tracks: each is looked up, not the run gone through."""
    mine = (run_tracks.c.run_id == run_id, run_tracks.c.track_id == tracks.c.track_id)
    return select(run_tracks.c.track_id).where(*mine).correlate(tracks).exists()


def is_waiting(run: Cells) -> ColumnElement[bool]:
    """Give the clause for tracks that a run may send: planned, or held by an earlier night.

    These need not be planned anew, and written, to be in line: what stays held stands as it stood. What was held since
    the run began waits for a later one.
    """
    return or_(tracks.c.state == State.PLANNED, was_held_before(run))


def was_held_before(run: Cells) -> ColumnElement[bool]:
    """Give the clause for tracks that were held before a run began, and since."""
    return and_(tracks.c.state == State.HELD, tracks.c.updated_at < run["started_at"])


def join_run(
    connection: Connection, run_id: str, members: Collection[str], standing: Collection[str]
) -> None:
    """Make a run be about these tracks (at most 10,000): the `standing`, published already, are only counted."""
    query = select(run_tracks.c.track_id).where(
        run_tracks.c.run_id == run_id, one_of(run_tracks.c.track_id, [*members, *standing])
    )
    there = set(connection.scalars(query))
    missing = [{"run_id": run_id, "track_id": track_id} for track_id in members if track_id not in there]
    if missing:
        connection.execute(run_tracks.insert(), missing)
    if count := sum(track_id not in there for track_id in standing):
        counted = runs.c.standing + count
        connection.execute(runs.update().where(runs.c.run_id == run_id).values(standing=counted))


def next_members(connection: Connection, run_id: str, after: str, limit: int) -> list[str]:
    """Give the ids of what a run is about, in order, behind one of them."""
    mine = and_(run_tracks.c.run_id == run_id, run_tracks.c.track_id > after)
    query = select(run_tracks.c.track_id).where(mine).order_by(run_tracks.c.track_id)
    return list(connection.scalars(query.limit(limit)))


def add_members(connection: Connection, run_id: str, chosen: ColumnElement[bool]) -> None:
    """Make a run be about all tracks that a clause chooses."""
    missing = select(literal(run_id), tracks.c.track_id).where(chosen, not_(is_member(run_id)))
    connection.execute(run_tracks.insert().from_select(["run_id", "track_id"], missing))


def of_living_runs(run_id: str, now: datetime) -> ColumnElement[bool]:
    """Give the clause for the tracks that a living run other than this one is about, too.

    A run lives while it has not ended and its key's lease is held: by it, as long as no later run has the same key.
    """
    later = runs.alias("later")
    is_last = not_(
        select(later.c.run_id)
        .where(later.c.key_id == runs.c.key_id, later.c.started_at > runs.c.started_at)
        .correlate(runs)
        .exists()
    )
    held = select(leases.c.key_id).where(leases.c.expires_at > now)
    living = select(runs.c.run_id).where(
        runs.c.run_id != run_id, runs.c.finished_at.is_(None), runs.c.key_id.in_(held), is_last
    )
    theirs = (run_tracks.c.track_id == tracks.c.track_id, run_tracks.c.run_id.in_(living))
    return select(run_tracks.c.track_id).where(*theirs).correlate(tracks).exists()


def is_large(connection: Connection, run_id: str, rows: int) -> bool:
    """Tell whether a run is about more than so many tracks; no more of them are counted."""
    some = select(run_tracks.c.track_id).where(run_tracks.c.run_id == run_id).limit(rows + 1).subquery()
    return connection.execute(select(func.count()).select_from(some)).scalar_one() > rows
