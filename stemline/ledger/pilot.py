"""The pilot of a provider and recipe, as the ledger knows it: how many tracks came back right, and which did not."""

from __future__ import annotations

import json
from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import ColumnElement, Connection, Select, and_, func, or_, select

from stemline.errors import LedgerConflict
from stemline.ledger.database import LedgerDatabase
from stemline.ledger.membership import is_member, of_provider
from stemline.ledger.repetition import repeating_verbs
from stemline.ledger.tables import SAME_TRACK, attempts, leases, tracks
from stemline.records import Code, Recipe, State

KEPT = (State.COLLECTED, State.PUBLISHED)
UNDER_WAY = (State.SUBMITTING, State.PROCESSING, State.READY)
USELESS = (State.QUARANTINED, State.EXPIRED, State.UNKNOWN)
NOT_SEPARATED = (Code.JOB_FAILED, Code.JOB_LOST)


@dataclass(frozen=True, slots=True)
class PilotQuestion:
    """Who asks how far the pilot is."""

    provider: str
    recipe: Recipe
    size: int
    """How many tracks must come back verified."""
    key_ids: Collection[str] = ()
    """The API keys of the run that asks."""
    run_id: str = ""
    """That run: failures of its tracks are tried again, those of others may never be."""
    max_attempts: int = 3
    """A job that failed is tried so often before it counts as bad."""
    job_timeout_seconds: float = 6 * 3_600.0
    """How long a job is waited for: one that takes longer keeps nobody waiting."""

    @property
    def tracks(self) -> ColumnElement[bool]:
        """The clause for the tracks it is about."""
        return of_provider({"provider": self.provider, "recipe": self.recipe.name})


@dataclass(frozen=True, slots=True)
class PilotTrack:
    """A track of a pilot that did not come back as it should."""

    track_id: str
    sentence: str


@dataclass(frozen=True, slots=True)
class PilotStanding:
    """How a provider has done with a recipe so far, over the ledger's life; more than a pilot needs is not counted."""

    size: int
    verified: int = 0
    bad: tuple[PilotTrack, ...] = ()
    under_way: int = 0
    """With the provider, on their way to or from it, or to be tried again."""
    uncollected: tuple[PilotTrack, ...] = ()
    """Those of them that are paid and could not be collected so far."""
    is_elsewhere: bool = False
    """Whether one of those under way is in the hands of another living run."""

    @property
    def missing(self) -> int:
        """How many are still to come back verified."""
        return max(0, self.size - self.verified)

    @property
    def is_passed(self) -> bool:
        """Whether enough came back verified: the others may be sent."""
        return self.verified >= self.size

    @property
    def is_failed(self) -> bool:
        """Whether more than half came back bad: nothing more is sent."""
        bad = len(self.bad)
        return not self.is_passed and 2 * bad > max(self.size, self.verified + bad)

    @property
    def room(self) -> int:
        """How many more may be sent, as long as it has neither passed nor failed.

        What takes the place of a bad one goes only once it is known what became of all the others.
        """
        if self.is_failed:
            return 0
        if self.under_way:
            return max(0, self.size - self.verified - len(self.bad) - self.under_way)
        return self.size - self.verified


@repeating_verbs
class Pilots:
    """The read by which it is decided whether a provider is trusted with more tracks."""

    def __init__(self, database: LedgerDatabase) -> None:
        self._database = database

    def standing(self, question: PilotQuestion) -> PilotStanding:
        """Give how the tracks of a provider and recipe have come back."""
        with self._database.read() as connection:
            shared_now = self._database.shared_now(connection)
            return read_standing(connection, self._database.clock(), shared_now, question)


def require_room(
    connection: Connection, now: datetime, shared_now: datetime, question: PilotQuestion
) -> None:
    """Raise LedgerConflict unless one more track may be sent; in the transaction that reserves it."""
    standing = read_standing(connection, now, shared_now, question)
    if not standing.is_passed and standing.room < 1:
        message = (
            f"The pilot of {question.recipe.name} with {question.provider} has no room for another track."
        )
        raise LedgerConflict(message)


def read_standing(
    connection: Connection, now: datetime, shared_now: datetime, question: PilotQuestion
) -> PilotStanding:
    """Give how the tracks of a provider and recipe have come back; `shared_now` is the clock of the leases."""
    verified, bad = _results(connection, question)
    held = set(connection.scalars(select(leases.c.key_id).where(leases.c.expires_at > shared_now)))
    under_way = _under_way(connection, question, now, {*question.key_ids, *held})
    return PilotStanding(
        question.size,
        verified,
        (*bad, *_failed(connection, question)),
        len(under_way) + _to_be_tried_again(connection, question),
        tuple(
            PilotTrack(row.track_id, row.sentence)
            for row in under_way
            if row.state == State.READY and row.sentence
        ),
        any(row.key_id in held and row.key_id not in question.key_ids for row in under_way),
    )


def _results(connection: Connection, question: PilotQuestion) -> tuple[int, list[PilotTrack]]:
    """Give how many tracks were collected as asked, and those that were in another format."""
    # Of one that is made again the attempt that is in the tables says nothing.
    joined = tracks.outerjoin(attempts, and_(SAME_TRACK, attempts.c.state == tracks.c.state))
    query = select(tracks.c.track_id, attempts.c.result).select_from(joined)
    rows = connection.execute(_some(query.where(tracks.c.state.in_(KEPT)), question)).all()
    formats = {track_id: _other_format(result) for track_id, result in rows}
    bad = [
        PilotTrack(track_id, f"Its stems are {found} and not {question.recipe.format}.")
        for track_id, found in formats.items()
        if found
    ]
    return len(rows) - len(bad), bad


def _other_format(result: str | None) -> str | None:
    """Give the format of a track's stems where none is in the one that was asked, and nobody accepted that."""
    stems = json.loads(result)["stems"] if result else []
    words = [stem["verification"].split(",") for stem in stems]
    is_other = bool(words) and all("format" in each and "accepted" not in each for each in words)
    return str(stems[0]["format"]) if is_other else None


def _failed(connection: Connection, question: PilotQuestion) -> list[PilotTrack]:
    """Give the tracks that were or may have been paid and came to nothing, or keep the provider busy for too long."""
    chosen = or_(
        tracks.c.state.in_(USELESS),
        and_(_not_separated(), or_(~tracks.c.is_retryable, tracks.c.failures >= question.max_attempts)),
        and_(tracks.c.state == State.PROCESSING, tracks.c.code == Code.JOB_LATE),
    )
    query = select(tracks.c.track_id, tracks.c.sentence).where(chosen).order_by(tracks.c.track_id)
    return [PilotTrack(*row) for row in connection.execute(_some(query, question))]


def _to_be_tried_again(connection: Connection, question: PilotQuestion) -> int:
    """Give how many of the run's tracks failed with the provider and go to it once more."""
    again = (_not_separated(), tracks.c.is_retryable, tracks.c.failures < question.max_attempts)
    query = select(tracks.c.track_id).where(*again, is_member(question.run_id))
    some = _some(query, question).subquery()
    return connection.execute(select(func.count()).select_from(some)).scalar_one()


def _not_separated() -> ColumnElement[bool]:
    return and_(tracks.c.state == State.FAILED, tracks.c.code.in_(NOT_SEPARATED))


def _under_way(
    connection: Connection, question: PilotQuestion, now: datetime, key_ids: Collection[str]
) -> list[Any]:
    """Give what is under way: paid and to be collected, or with the provider and not found to take too long.

    What was sent with a key that is none of these is looked after by nobody, who could find that: its age tells.
    """
    since = now - timedelta(seconds=question.job_timeout_seconds)
    sent_at = func.coalesce(attempts.c.sent_at, attempts.c.reserved_at)
    is_waited_for = and_(
        attempts.c.code != Code.JOB_LATE, or_(attempts.c.key_id.in_(list(key_ids)), sent_at > since)
    )
    query = (
        select(tracks.c.track_id, tracks.c.state, tracks.c.sentence, attempts.c.key_id)
        .select_from(tracks.join(attempts, and_(SAME_TRACK, attempts.c.state == tracks.c.state)))
        .where(tracks.c.state.in_(UNDER_WAY), or_(tracks.c.state == State.READY, is_waited_for))
        .order_by(tracks.c.track_id)
    )
    return list(connection.execute(_some(query, question)))


def _some(query: Select[Any], question: PilotQuestion) -> Select[Any]:
    """Give as many rows of the question's tracks as any pilot of its size can be judged by."""
    return query.where(question.tracks).limit(4 * question.size)
