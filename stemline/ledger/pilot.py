"""The pilot of a provider and recipe, as the ledger knows it: how many tracks came back right, and which did not."""

from __future__ import annotations

import json
from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import ColumnElement, Connection, Select, and_, or_, select

from stemline.ledger.database import LedgerDatabase
from stemline.ledger.membership import of_provider
from stemline.ledger.repetition import repeating_verbs
from stemline.ledger.tables import SAME_TRACK, attempts, leases, tracks
from stemline.records import Code, Recipe, State

LATE = timedelta(hours=6)
"""A track sent longer ago than this keeps nobody waiting: another one may take its place in the pilot."""
KEPT = (State.COLLECTED, State.PUBLISHED)
UNDER_WAY = (State.SUBMITTING, State.PROCESSING, State.READY)
USELESS = (State.QUARANTINED, State.EXPIRED)
NOT_SEPARATED = (Code.JOB_FAILED, Code.JOB_LOST)


@dataclass(frozen=True, slots=True)
class PilotQuestion:
    """Who asks how far the pilot is."""

    provider: str
    recipe: Recipe
    size: int
    """How many tracks must come back verified."""
    key_ids: Collection[str]
    """The API keys of the run that asks."""
    max_attempts: int = 3
    """A job that failed is tried so often before it counts as bad."""

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

    verified: int
    bad: tuple[PilotTrack, ...]
    under_way: int
    """With the provider, on their way to or from it, or to be tried again."""
    is_elsewhere: bool
    """Whether one of these is in the hands of another living run."""


@repeating_verbs
class Pilots:
    """The read by which it is decided whether a provider is trusted with more tracks."""

    def __init__(self, database: LedgerDatabase) -> None:
        self._database = database

    def standing(self, question: PilotQuestion) -> PilotStanding:
        """Give how the tracks of a provider and recipe have come back."""
        now = self._database.clock()
        with self._database.read() as connection:
            verified, bad = _results(connection, question)
            failed = _failed(connection, question)
            keys = _keys_under_way(connection, question, now)
            held = set(connection.scalars(select(leases.c.key_id).where(leases.c.expires_at > now)))
        again = sum(may_return for _, may_return in failed)
        return PilotStanding(
            verified,
            (*bad, *(track for track, may_return in failed if not may_return)),
            len(keys) + again,
            any(key_id in held and key_id not in question.key_ids for key_id in keys),
        )


def _results(connection: Connection, question: PilotQuestion) -> tuple[int, list[PilotTrack]]:
    """Give how many tracks were collected as asked, and those that were in another format."""
    joined = tracks.outerjoin(attempts, and_(SAME_TRACK, attempts.c.state.in_(KEPT)))
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


def _failed(connection: Connection, question: PilotQuestion) -> list[tuple[PilotTrack, bool]]:
    """Give the tracks that were paid and came to nothing, and whether each is to be tried again."""
    names = ("track_id", "state", "sentence", "is_retryable", "failures")
    failed = and_(tracks.c.state == State.FAILED, tracks.c.code.in_(NOT_SEPARATED))
    query = select(*(tracks.c[name] for name in names)).where(or_(tracks.c.state.in_(USELESS), failed))
    return [
        (
            PilotTrack(row["track_id"], row["sentence"]),
            row["state"] == State.FAILED
            and bool(row["is_retryable"])
            and row["failures"] < question.max_attempts,
        )
        for row in connection.execute(_some(query, question)).mappings()
    ]


def _keys_under_way(connection: Connection, question: PilotQuestion, now: datetime) -> list[str | None]:
    """Give the API key of each track that is under way and not late."""
    joined = tracks.join(attempts, and_(SAME_TRACK, attempts.c.state.in_(UNDER_WAY)))
    query = select(attempts.c.key_id).select_from(joined)
    not_late = (tracks.c.state.in_(UNDER_WAY), attempts.c.reserved_at > now - LATE)
    return list(connection.scalars(_some(query.where(*not_late), question)))


def _some(query: Select[Any], question: PilotQuestion) -> Select[Any]:
    """Give as many rows of the question's tracks as any pilot of its size can be judged by."""
    return query.where(question.tracks).limit(4 * question.size)
