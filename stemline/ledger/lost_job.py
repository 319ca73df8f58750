"""Lost jobs: paid perhaps, and unknown to the provider when it was asked; taken up again once it shows them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, Connection, RowMapping, and_, not_, select

from stemline.errors import LedgerConflict
from stemline.ledger.database import LedgerDatabase
from stemline.ledger.repetition import repeating_verbs
from stemline.ledger.row_mapping import attempt_from_row, attempts_with_tracks
from stemline.ledger.tables import TRACK_KEY, attempts, tracks
from stemline.ledger.transition import (
    RELEASED,
    AttemptTransition,
    TrackTransition,
    find_attempt,
    move_attempt,
    move_tracks,
    require_state,
    same_track,
)
from stemline.records import Attempt, Code, Recipe, State

WAITING = (State.PLANNED, State.HELD)


@dataclass(frozen=True, slots=True)
class LostJob:
    """The last attempt of a track, whose job the provider did not know when it was asked."""

    attempt: Attempt
    key_id: str | None
    """The API key it was made with."""


@repeating_verbs
class LostJobs:
    """The attempts whose job the provider did not know, and the ways back to it that cost nothing."""

    def __init__(self, database: LedgerDatabase) -> None:
        self._database = database

    def failed(self, provider: str, since: datetime) -> list[LostJob]:
        """Give those whose track failed for it and that were sent `since` then: they may still be there."""
        is_lost = and_(tracks.c.state == State.FAILED, tracks.c.code == Code.JOB_LOST)
        return self._read(provider, is_lost, attempts.c.sent_at >= since)

    def by_track(self, provider: str, recipe: Recipe) -> dict[str, LostJob]:
        """Give them by track, wherever that stands: whoever sends it again asks for the job first."""
        found = self._read(provider, attempts.c.recipe == recipe.name)
        return {lost.attempt.track.track_id: lost for lost in found}

    def take_up(self, token: str, job_id: str) -> Attempt:
        """Wait for a lost job again, which the provider shows after all; its credits stand as they are.

        Raises LedgerConflict when its track was sent again or stands elsewhere by now, or another attempt has the job.
        """
        now = self._database.clock()
        with self._database.write() as connection:
            row = find_attempt(connection, token)
            require_state(row, "take_up", {State.FAILED})
            _require_idle(connection, row)
            values = {"is_disputed": False, "job_id": job_id}
            move_attempt(connection, now, row, _back_to_work("take_up", values))
            return _read_attempt(connection, token)

    def correct(self, token: str, job_id: str) -> Attempt:
        """Say that an attempt's job is another one than its submit was answered with: the list shows our token there.

        Raises LedgerConflict when another attempt has it.
        """
        with self._database.write() as connection:
            row = find_attempt(connection, token)
            require_state(row, "correct_job", {State.PROCESSING})
            move_attempt(
                connection, self._database.clock(), row, _back_to_work("correct_job", {"job_id": job_id})
            )
            return _read_attempt(connection, token)

    def leave(self, token: str, sentence: str) -> None:
        """Have a track that waits to be sent again fail as before: its lost job could not be asked for."""
        with self._database.write() as connection:
            row = find_attempt(connection, token)
            chosen = and_(same_track(row), tracks.c.state.in_(WAITING))
            failed = TrackTransition("leave_lost", State.FAILED, Code.JOB_LOST, sentence)
            move_tracks(connection, self._database.clock(), chosen, failed)

    def _read(self, provider: str, *clauses: ColumnElement[bool]) -> list[LostJob]:
        later = attempts.alias("later")
        same = [later.c[name] == attempts.c[name] for name in TRACK_KEY]
        newer = select(later.c.token).where(
            *same, later.c.number > attempts.c.number, later.c.state != RELEASED
        )
        query = (
            attempts_with_tracks()
            .where(attempts.c.provider == provider, attempts.c.state == State.FAILED)
            .where(attempts.c.code == Code.JOB_LOST, *clauses, not_(newer.correlate(attempts).exists()))
            .order_by(attempts.c.reserved_at, attempts.c.token)
        )
        with self._database.read() as connection:
            rows = connection.execute(query).mappings()
            return [LostJob(attempt_from_row(row), row["key_id"]) for row in rows]


def _back_to_work(verb: str, values: Mapping[str, Any]) -> AttemptTransition:
    return AttemptTransition(verb, State.PROCESSING, State.PROCESSING, values=values)


def _require_idle(connection: Connection, row: RowMapping) -> None:
    """Raise LedgerConflict unless the track of a lost job is where that left it, or waits to be sent again."""
    query = select(tracks.c.state, tracks.c.code).where(same_track(row))
    state, code = connection.execute(query).one()
    if row["code"] != Code.JOB_LOST or not (
        state in WAITING or (state == State.FAILED and code == Code.JOB_LOST)
    ):
        message = f"Track {row['track_id']} is {state} by now: job {row['job_id']} is not taken up for it."
        raise LedgerConflict(message)


def _read_attempt(connection: Connection, token: str) -> Attempt:
    row = connection.execute(attempts_with_tracks().where(attempts.c.token == token)).mappings().one()
    return attempt_from_row(row)
