"""How attempts and tracks change their state: the rows move and the event is written, or none of it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, Connection, RowMapping, Text, and_, bindparam, literal, select

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
    move_attempts(connection, now, [(attempt, transition)])


def move_attempts(
    connection: Connection, now: datetime, moved: Sequence[tuple[RowMapping, AttemptTransition]]
) -> None:
    """Move attempts and their tracks and write the events, in three statements however many they are.

    Their transitions set the same further columns.
    """
    if not moved:
        return
    rows = [_moved_cells(now, attempt, transition) for attempt, transition in moved]
    columns = ("state", "code", "sentence", "updated_at", *moved[0][1].values)
    update = attempts.update().where(attempts.c.token == bindparam("of_token"))
    connection.execute(update.values({name: bindparam(f"new_{name}") for name in columns}), rows)
    update = tracks.update().where(*(tracks.c[name] == bindparam(f"of_{name}") for name in TRACK_KEY))
    columns = ("code", "sentence", "updated_at", "is_retryable")
    update = update.values({name: bindparam(f"new_{name}") for name in columns})
    failures = tracks.c.failures + bindparam("fails")
    connection.execute(update.values(state=bindparam("new_track_state"), failures=failures), rows)
    write_events(
        connection, now, [(attempt, _event_of(attempt, transition)) for attempt, transition in moved]
    )


def _moved_cells(now: datetime, attempt: RowMapping, transition: AttemptTransition) -> dict[str, object]:
    return {
        **{f"new_{name}": value for name, value in transition.values.items()},
        **{f"of_{name}": attempt[name] for name in ("token", *TRACK_KEY)},
        "new_state": transition.state,
        "new_track_state": transition.track_state,
        "new_code": transition.code,
        "new_sentence": transition.sentence,
        "new_updated_at": now,
        "new_is_retryable": transition.is_retryable,
        "fails": 1 if transition.track_state is State.FAILED else 0,
    }


def _event_of(attempt: RowMapping, transition: AttemptTransition) -> LedgerEvent:
    detail = {"code": transition.code, "sentence": transition.sentence} if transition.sentence else {}
    return LedgerEvent(transition.verb, attempt["state"], transition.state, detail)


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
    write_events(connection, now, [(subject, event)])


def write_events(connection: Connection, now: datetime, told: Iterable[tuple[Cells, LedgerEvent]]) -> None:
    """Write events, each about whatever of run, track and token its subject names."""
    rows = [
        {
            "at": now,
            "run_id": subject.get("run_id"),
            "track_id": subject.get("track_id"),
            "token": subject.get("token"),
            "verb": event.verb,
            "from_state": event.from_state,
            "to_state": event.to_state,
            "detail": dump_cells(event.detail) if event.detail else None,
        }
        for subject, event in told
    ]
    if rows:
        connection.execute(events.insert(), rows)


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
