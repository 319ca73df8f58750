"""One step of an attempt and its track: both rows move and the event is written, or none of it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, Connection, RowMapping, Text, and_, literal, select

from stemline.errors import LedgerConflict
from stemline.ledger.cell import dump_cells
from stemline.ledger.schema import TRACK_KEY, Cells, UtcDateTime, attempts, events, tracks
from stemline.records import Code, State

RELEASED = "released"
"""The state of an attempt that never was accepted: its track is free for another."""


@dataclass(frozen=True, slots=True)
class Step:
    """What a verb does to an attempt (`state`) and to its track (`track_state`)."""

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


def take(connection: Connection, now: datetime, attempt: RowMapping, step: Step) -> None:
    """Move an attempt and its track and write the event."""
    outcome = {"code": step.code, "sentence": step.sentence, "updated_at": now}
    connection.execute(
        attempts.update()
        .where(attempts.c.token == attempt["token"])
        .values({**step.values, **outcome, "state": step.state})
    )
    fails = 1 if step.track_state is State.FAILED else 0
    connection.execute(
        tracks.update()
        .where(same_track(attempt))
        .values(
            **outcome,
            state=step.track_state,
            is_retryable=step.is_retryable,
            failures=tracks.c.failures + fails,
        )
    )
    detail = {"code": step.code, "sentence": step.sentence} if step.sentence else {}
    write_event(connection, now, attempt, Change(step.verb, attempt["state"], step.state, detail))


def same_track(key: Cells) -> ColumnElement[bool]:
    """Give the clause that finds the track of a row."""
    return and_(*(tracks.c[name] == key[name] for name in TRACK_KEY))


@dataclass(frozen=True, slots=True)
class Change:
    """What an event row says happened."""

    verb: str
    from_state: str | None = None
    to_state: str | None = None
    detail: Mapping[str, Any] = field(default_factory=dict)


def write_event(connection: Connection, now: datetime, subject: Cells, change: Change) -> None:
    """Write one event about whatever of run, track and token the subject names."""
    event = {
        "at": now,
        "run_id": subject.get("run_id"),
        "track_id": subject.get("track_id"),
        "token": subject.get("token"),
        "verb": change.verb,
        "from_state": change.from_state,
        "to_state": change.to_state,
        "detail": dump_cells(change.detail) if change.detail else None,
    }
    connection.execute(events.insert(), [event])


@dataclass(frozen=True, slots=True)
class Move:
    """Where a verb takes tracks that have no attempt under way."""

    verb: str
    state: State
    code: Code = Code.OK
    sentence: str = ""
    is_retryable: bool = False
    run_id: str | None = None
    """The run that selects them by this move."""


def move_tracks(connection: Connection, now: datetime, chosen: ColumnElement[bool], move: Move) -> int:
    """Write one event per chosen track, then move them all; give how many."""
    run_id = tracks.c.run_id if move.run_id is None else literal(move.run_id)
    detail = dump_cells({"code": move.code, "sentence": move.sentence}) if move.sentence else None
    history = select(
        literal(now, UtcDateTime()),
        run_id,
        tracks.c.track_id,
        literal(move.verb),
        tracks.c.state,
        literal(move.state.value),
        literal(detail, Text()),
    ).where(chosen)
    columns = ["at", "run_id", "track_id", "verb", "from_state", "to_state", "detail"]
    connection.execute(events.insert().from_select(columns, history))
    fails = 1 if move.state is State.FAILED else 0
    moved = connection.execute(
        tracks.update()
        .where(chosen)
        .values(
            state=move.state.value,
            code=move.code.value,
            sentence=move.sentence,
            is_retryable=move.is_retryable,
            failures=tracks.c.failures + fails,
            run_id=run_id,
            updated_at=now,
        )
    )
    return moved.rowcount
