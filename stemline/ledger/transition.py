"""How attempts and tracks change their state: the rows move and the event is written, or none of it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, Connection, RowMapping, Text, and_, literal, select

from stemline.errors import LedgerConflict
from stemline.ledger.cell import dump_cells
from stemline.ledger.tables import TRACK_KEY, Cells, UtcDateTime, attempts, events, tracks
from stemline.records import Code, State

RELEASED = "released"
"""The state of an attempt that never was accepted: its track is free for another."""


@dataclass(frozen=True, slots=True)
class AttemptTransition:
    """Where a verb takes an attempt (`state`) and its track (`track_state`)."""

    verb: str
    state: str
    track_state: State
    code: Code = Code.OK
    sentence: str = ""
    is_retryable: bool = False
    values: Mapping[str, object] = field(default_factory=dict)
    """Further columns of `attempts` that the verb sets."""


def find_attempt(connection: Connection, token: str) -> RowMapping:
    """Give the attempt's row; raises LedgerConflict for a token the ledger does not know."""
    row = connection.execute(select(attempts).where(attempts.c.token == token)).mappings().one_or_none()
    if row is None:
        message = f"The ledger knows no attempt {token}."
        raise LedgerConflict(message)
    return row


def require_state(attempt: RowMapping, verb: str, allowed: Iterable[str]) -> None:
    """Raise LedgerConflict unless the attempt stands where the verb may start."""
    if attempt["state"] not in allowed:
        message = f"Attempt {attempt['token']} is {attempt['state']}: {verb} cannot follow."
        raise LedgerConflict(message)


def move_attempt(
    connection: Connection, now: datetime, attempt: RowMapping, transition: AttemptTransition
) -> None:
    """Move an attempt and its track and write the event."""
    outcome = {"code": transition.code, "sentence": transition.sentence, "updated_at": now}
    connection.execute(
        attempts.update()
        .where(attempts.c.token == attempt["token"])
        .values({**transition.values, **outcome, "state": transition.state})
    )
    fails = 1 if transition.track_state is State.FAILED else 0
    connection.execute(
        tracks.update()
        .where(same_track(attempt))
        .values(
            **outcome,
            state=transition.track_state,
            is_retryable=transition.is_retryable,
            failures=tracks.c.failures + fails,
        )
    )
    detail = {"code": transition.code, "sentence": transition.sentence} if transition.sentence else {}
    write_event(
        connection, now, attempt, LedgerEvent(transition.verb, attempt["state"], transition.state, detail)
    )


def reword(connection: Connection, attempt: RowMapping, sentence: str) -> None:
    """Say something else of an attempt and its track, which stay where they are."""
    for table, clause in ((attempts, attempts.c.token == attempt["token"]), (tracks, same_track(attempt))):
        connection.execute(table.update().where(clause).values(sentence=sentence))


def same_track(key: Cells) -> ColumnElement[bool]:
    """Give the clause that finds the track of a row."""
    return and_(*(tracks.c[name] == key[name] for name in TRACK_KEY))


@dataclass(frozen=True, slots=True)
class LedgerEvent:
    """What an event row says happened."""

    verb: str
    from_state: str | None = None
    to_state: str | None = None
    detail: Mapping[str, Any] = field(default_factory=dict)


def write_event(connection: Connection, now: datetime, subject: Cells, event: LedgerEvent) -> None:
    """Write one event about whatever of run, track and token the subject names."""
    cells = {
        "at": now,
        "run_id": subject.get("run_id"),
        "track_id": subject.get("track_id"),
        "token": subject.get("token"),
        "verb": event.verb,
        "from_state": event.from_state,
        "to_state": event.to_state,
        "detail": dump_cells(event.detail) if event.detail else None,
    }
    connection.execute(events.insert(), [cells])


@dataclass(frozen=True, slots=True)
class TrackTransition:
    """Where a verb takes tracks that have no attempt under way."""

    verb: str
    state: State
    code: Code = Code.OK
    sentence: str = ""
    is_retryable: bool = False
    run_id: str | None = None
    """The run that selects them by this transition."""


def move_tracks(
    connection: Connection, now: datetime, chosen: ColumnElement[bool], transition: TrackTransition
) -> int:
    """Write one event per chosen track, then move them all; give how many."""
    run_id = tracks.c.run_id if transition.run_id is None else literal(transition.run_id)
    detail = (
        dump_cells({"code": transition.code, "sentence": transition.sentence})
        if transition.sentence
        else None
    )
    history = select(
        literal(now, UtcDateTime()),
        run_id,
        tracks.c.track_id,
        literal(transition.verb),
        tracks.c.state,
        literal(transition.state.value),
        literal(detail, Text()),
    ).where(chosen)
    columns = ["at", "run_id", "track_id", "verb", "from_state", "to_state", "detail"]
    connection.execute(events.insert().from_select(columns, history))
    moved = connection.execute(
        tracks.update()
        .where(chosen)
        .values(
            state=transition.state.value,
            code=transition.code.value,
            sentence=transition.sentence,
            is_retryable=transition.is_retryable,
            run_id=run_id,
            updated_at=now,
        )
    )
    return moved.rowcount
