"""How an attempt fails: which states may lead there, where its track goes, and what it costs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, RowMapping

from stemline.ledger import credit
from stemline.ledger.transition import AttemptTransition, move_attempt, require_state
from stemline.records import Code, Failure, State


def is_for_good(code: str, *, is_retryable: bool, failures: int, max_attempts: int) -> bool:
    """Tell whether no later run tries a failed track again by itself.

    An upload that failed cost nothing, and most fail for an outage of the vendor's storage: it uses up the attempts of
    one run, and each later run tries it again.
    """
    return not is_retryable or (failures >= max_attempts and code != Code.UPLOAD_FAILED)


def fail_attempt(
    connection: Connection, now: datetime, attempt: RowMapping, failure: Failure, charged: int | None
) -> State:
    """Move an attempt and its track to where the failure leads, book its cost, and give the track's state.

    `charged` is what the provider said it cost; None: it said nothing. Raises LedgerConflict when the attempt
    stands where this failure cannot follow.
    """
    require_state(attempt, f"fail to {failure.state}", _origins(failure.state))
    transition = _transition(attempt, failure)
    values = _book_cost(connection, now, attempt, charged, transition)
    move_attempt(connection, now, attempt, replace(transition, values=values))
    return transition.track_state


def _origins(state: State) -> frozenset[State]:
    """Give the states from which a failure may lead to `state`."""
    if state is State.QUARANTINED:
        return frozenset({State.READY})
    if state is State.EXPIRED:
        return frozenset({State.PROCESSING, State.READY})
    if state is State.UNKNOWN:
        return frozenset({State.SUBMITTING})
    return frozenset({State.SUBMITTING, State.UNKNOWN, State.PROCESSING, State.READY})


def _transition(attempt: RowMapping, failure: Failure) -> AttemptTransition:
    """Give where the failure leads: what is paid and could not be collected stays ready."""
    end = failure.state
    if end is State.FAILED and attempt["state"] == State.READY:
        end = State.READY
    verb = {State.READY: "postpone", State.FAILED: "fail"}.get(end, end.value)
    return AttemptTransition(verb, end, end, failure.code, failure.sentence, failure.is_retryable)


def _book_cost(
    connection: Connection,
    now: datetime,
    attempt: RowMapping,
    charged: int | None,
    transition: AttemptTransition,
) -> Mapping[str, Any]:
    """Book what the failure costs and give the columns of `attempts` that it sets."""
    if attempt["state"] == State.READY or transition.state == State.UNKNOWN:
        return {}
    if transition.state == State.FAILED and charged is None:
        if attempt["state"] in {State.PROCESSING, State.UNKNOWN}:
            return {"is_disputed": credit.is_open(connection, attempt["token"])}
        credit.release(connection, now, attempt["token"])
        return {}
    return {"credits_charged": credit.settle(connection, now, attempt["token"], charged)}
