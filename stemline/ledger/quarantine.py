"""The quarantine: what is paid and does not verify, collected once more for nothing, or accepted as it is."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import ColumnElement, Connection, and_, or_, select

from stemline.errors import LedgerConflict
from stemline.ledger.database import LedgerDatabase
from stemline.ledger.membership import add_members, of_provider, of_run
from stemline.ledger.repetition import repeating_verbs
from stemline.ledger.row_mapping import dump_collected, job_from_row
from stemline.ledger.run import find_run
from stemline.ledger.tables import SAME_TRACK, attempts, leases, tracks
from stemline.ledger.transition import (
    AttemptTransition,
    find_attempt,
    move_attempt,
    require_state,
    same_track,
)
from stemline.records import Code, CollectedTrack, Job, State

TRACKS_A_TRANSACTION = 200


@dataclass(frozen=True, slots=True)
class CollectAgain:
    """Which quarantined tracks of a run are collected once more."""

    run_id: str
    kept_since: datetime
    """The provider still has the outputs of what was sent then or later."""
    key_ids: Collection[str]
    """The API keys of this run: what a key of another living run has made is left to that."""
    is_redrive: bool = False
    """Whether it is about all tracks of the run's recipe and provider: the run is about those found from now on."""
    codes: Collection[Code] | None = None
    limit: int | None = None


@repeating_verbs
class Quarantine:
    """The verbs that lead out of quarantine without paying again."""

    def __init__(self, database: LedgerDatabase) -> None:
        self._database = database

    def collect_again(self, wanted: CollectAgain) -> int:
        """Put quarantined attempts back to ready: they are paid, and their outputs are there; give how many."""
        moved = 0
        while wanted.limit is None or moved < wanted.limit:
            left = TRACKS_A_TRANSACTION if wanted.limit is None else wanted.limit - moved
            some = self._move_some(wanted, min(left, TRACKS_A_TRANSACTION))
            moved += some
            if not some:
                break
        return moved

    def accept(self, collected: CollectedTrack) -> bool:
        """Keep the stems of a quarantined attempt as they are: a person says so; give whether this was news.

        Raises LedgerConflict when the attempt, or its track, stands elsewhere by now.
        """
        with self._database.write() as connection:
            row = find_attempt(connection, collected.token)
            if row["state"] in {State.COLLECTED, State.PUBLISHED}:
                return False
            require_state(row, "accept", {State.QUARANTINED, State.EXPIRED})
            state = connection.execute(select(tracks.c.state).where(same_track(row))).scalar_one()
            if state != row["state"]:
                message = (
                    f"Track {row['track_id']} is {state} by now: its attempt {row['token']} is not accepted."
                )
                raise LedgerConflict(message)
            there = self._database.destination
            values = {
                "result": dump_collected(collected),
                "dataset_id": None if there is None else there.dataset_id,
            }
            accepted = AttemptTransition("accept", State.COLLECTED, State.COLLECTED, values=values)
            move_attempt(connection, self._database.clock(), row, accepted)
            return True

    def run_of(self, token: str) -> str:
        """Give the run that made an attempt."""
        with self._database.read() as connection:
            return str(find_attempt(connection, token)["run_id"])

    def job_of(self, token: str) -> Job:
        """Give what is known of an attempt's job, without links."""
        with self._database.read() as connection:
            return job_from_row(find_attempt(connection, token))

    def _move_some(self, wanted: CollectAgain, limit: int) -> int:
        now = self._database.clock()
        with self._database.write() as connection:
            chosen = _chosen(connection, wanted, now)
            if wanted.is_redrive:
                chosen = tracks.c.track_id.in_(
                    select(tracks.c.track_id).where(chosen).order_by(tracks.c.track_id).limit(limit)
                )
                chosen = and_(of_provider(find_run(connection, wanted.run_id)), chosen)
                add_members(connection, wanted.run_id, chosen)
            query = (
                select(attempts)
                .select_from(attempts.join(tracks, SAME_TRACK))
                .where(chosen, attempts.c.state == State.QUARANTINED)
                .order_by(attempts.c.track_id, attempts.c.number)
                .limit(limit)
            )
            newest = {row["track_id"]: row for row in connection.execute(query).mappings().all()}
            for row in newest.values():
                move_attempt(
                    connection,
                    now,
                    row,
                    AttemptTransition("collect_again", State.READY, State.READY),
                )
            return len(newest)


def is_collectable(kept_since: datetime) -> ColumnElement[bool]:
    """Give the clause for quarantined tracks whose outputs the provider still has."""
    there = select(attempts.c.token).where(
        SAME_TRACK, attempts.c.state == State.QUARANTINED, attempts.c.sent_at >= kept_since
    )
    return and_(tracks.c.state == State.QUARANTINED, there.correlate(tracks).exists())


def _chosen(connection: Connection, wanted: CollectAgain, now: datetime) -> ColumnElement[bool]:
    """Give the clause for the tracks that are wanted and that no other living run may be at."""
    run = find_run(connection, wanted.run_id)
    held = select(leases.c.key_id).where(leases.c.expires_at > now)
    key_id = attempts.c.key_id
    is_ours = or_(key_id.is_(None), key_id.in_(list(wanted.key_ids)), key_id.not_in(held))
    free = select(attempts.c.token).where(SAME_TRACK, attempts.c.state == State.QUARANTINED, is_ours)
    mine = of_provider(run) if wanted.is_redrive else of_run(run)
    named = [] if wanted.codes is None else [tracks.c.code.in_(list(wanted.codes))]
    return and_(mine, is_collectable(wanted.kept_since), free.correlate(tracks).exists(), *named)
