"""Attempts up to the provider's answer: reserve, send, and what the submit turned out to be."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, RowMapping, func, select

from stemline.budget import Held, Limits, check
from stemline.errors import LeaseHeld, LedgerConflict
from stemline.ledger import credit
from stemline.ledger.plan import MEASURED
from stemline.ledger.row import attempt_from_row, attempts_with_tracks, track_cells
from stemline.ledger.run import find_run
from stemline.ledger.schema import TRACK_KEY, attempts, leases, tracks
from stemline.ledger.track import Tracks
from stemline.ledger.transition import (
    RELEASED,
    Change,
    Step,
    find_attempt,
    require_state,
    same_track,
    take,
    write_event,
)
from stemline.records import Attempt, Code, State, Submission, Track


class Attempts(Tracks):
    """The verbs from the intent to the provider's answer."""

    def reserve(  # noqa: PLR0913 - what an intent consists of
        self,
        run_id: str,
        track: Track,
        token: str,
        amount: int,
        limits: Limits,
        *,
        key_id: str | None = None,
    ) -> Attempt | Held:
        """Write the intent to pay for a planned track: its attempt, its credits, all limits checked.

        `key_id` is the API key it will be submitted with; None: the run's first.
        Gives Held, and changes nothing, when a limit would be passed. The check, the sums and the booking are
        one transaction of the ledger's only writer, so no other thread or process can slip in between.
        Raises LedgerConflict when the track is not planned or another attempt of it is live.
        """
        now = self.clock()
        with self.write() as connection:
            run = find_run(connection, run_id)
            held = check(amount, limits, credit.read_spending(connection, run, now, limits), now)
            if held is not None:
                return held
            key = {"track_id": track.track_id, "recipe": run["recipe"], "provider": run["provider"]}
            _require_planned(connection, key)
            cells = {**key, "run_id": run_id, "token": token, "key_id": key_id or run["key_id"]}
            connection.execute(attempts.insert(), [_intent(connection, now, cells, amount)])
            credit.reserve(connection, now, cells, amount)
            _submitting(connection, now, key, track)
            change = Change("reserve", State.PLANNED, State.SUBMITTING, {"credits": amount})
            write_event(connection, now, cells, change)
            return _read_attempt(connection, token)

    def mark_sending(
        self, token: str, *, fence: int | None = None, request: Mapping[str, Any] | None = None
    ) -> Attempt:
        """Commit that the paid request is about to leave; a repeat under the same token keeps the first time.

        `request` is its body, kept so that it can be repeated word for word. With `fence`, raises LeaseHeld when
        the key's lease has gone to somebody else.
        """
        now = self.clock()
        with self.write() as connection:
            row = find_attempt(connection, token)
            if fence is not None:
                require_fence(connection, row["key_id"], fence)
            require_state(row, "mark_sending", {State.SUBMITTING, State.UNKNOWN})
            if row["sent_at"] is None:
                values = {"sent_at": now, "request": json.dumps(dict(request)) if request else None}
                connection.execute(attempts.update().where(attempts.c.token == token).values(**values))
            write_event(connection, now, row, Change("mark_sending", row["state"], row["state"]))
            return replace(_read_attempt(connection, token), sent_at=row["sent_at"] or now)

    def record_submission(self, token: str, submission: Submission) -> Attempt:
        """Keep the job the provider made of an attempt, and correct the reservation to what it asks.

        Saying the same job again changes nothing. Raises LedgerConflict for a second job, or a job that
        belongs to another attempt.
        """
        now = self.clock()
        with self.write() as connection:
            row = find_attempt(connection, token)
            if row["job_id"] != submission.job_id:
                require_state(row, "record_submission", {State.SUBMITTING, State.UNKNOWN})
                take(connection, now, row, _accepted(now, row, submission))
                if submission.credits_required is not None:
                    credit.adjust(connection, now, token, submission.credits_required)
            return _read_attempt(connection, token)

    def release(
        self,
        token: str,
        code: Code = Code.OK,
        sentence: str = "",
        *,
        state: State = State.PLANNED,
        is_retryable: bool = False,
    ) -> None:
        """End an attempt that was never sent or was refused: its credits are free again.

        The track goes to `state` (planned, failed, held or rejected); only failed counts as a failure.
        """
        now = self.clock()
        with self.write() as connection:
            row = find_attempt(connection, token)
            if row["state"] == RELEASED:
                return
            require_state(row, "release", {State.SUBMITTING, State.UNKNOWN})
            credit.release(connection, now, token)
            take(connection, now, row, Step("release", RELEASED, state, code, sentence, is_retryable))

    def mark_unknown(self, token: str, sentence: str) -> None:
        """Set an attempt aside whose submit got no answer that could be settled; credits stay reserved."""
        with self.write() as connection:
            row = find_attempt(connection, token)
            if row["state"] == State.UNKNOWN:
                return
            require_state(row, "mark_unknown", {State.SUBMITTING})
            step = Step("mark_unknown", State.UNKNOWN, State.UNKNOWN, Code.SUBMIT_UNANSWERED, sentence)
            take(connection, self.clock(), row, step)

    def attempt(self, token: str) -> Attempt:
        """Give an attempt; raises LedgerConflict for a token the ledger does not know."""
        with self.read() as connection:
            find_attempt(connection, token)
            return _read_attempt(connection, token)


def require_fence(connection: Connection, key_id: str | None, fence: int) -> None:
    """Raise LeaseHeld unless the key's lease still carries this fence."""
    lease = connection.execute(select(leases).where(leases.c.key_id == key_id)).mappings().one_or_none()
    if lease is None or lease["fence"] != fence:
        holder = lease["holder"] if lease else "nobody"
        message = f"The lease on this API key is lost: {holder} holds it now."
        raise LeaseHeld(message, fix="Wait for that run to end, then run again.")


def _require_planned(connection: Connection, key: dict[str, Any]) -> None:
    state = connection.execute(select(tracks.c.state).where(same_track(key))).scalar_one_or_none()
    if state != State.PLANNED:
        message = f"Track {key['track_id']} is {state or 'not in the ledger'}, not planned."
        raise LedgerConflict(message)


def _intent(connection: Connection, now: datetime, cells: dict[str, Any], amount: int) -> dict[str, Any]:
    earlier = select(func.coalesce(func.max(attempts.c.number), 0)).where(
        *(attempts.c[name] == cells[name] for name in TRACK_KEY)
    )
    return {
        **cells,
        "number": connection.execute(earlier).scalar_one() + 1,
        "state": State.SUBMITTING,
        "code": Code.OK,
        "sentence": "",
        "credits_reserved": amount,
        "is_disputed": False,
        "reserved_at": now,
        "updated_at": now,
    }


def _submitting(connection: Connection, now: datetime, key: dict[str, Any], track: Track) -> None:
    """Move the track, and keep what probing measured of it."""
    measured = {name: value for name, value in track_cells(track).items() if name in MEASURED}
    values = {**measured, "state": State.SUBMITTING, "code": Code.OK, "sentence": "", "updated_at": now}
    connection.execute(tracks.update().where(same_track(key)).values(**values))


def _accepted(now: datetime, row: RowMapping, submission: Submission) -> Step:
    asked = submission.credits_required
    values = {
        "job_id": submission.job_id,
        "sent_at": row["sent_at"] or now,
        "estimated_seconds": submission.estimated_seconds,
        "source_sha256": submission.source_sha256,
        "credits_reserved": row["credits_reserved"] if asked is None else asked,
    }
    return Step("record_submission", State.PROCESSING, State.PROCESSING, values=values)


def _read_attempt(connection: Connection, token: str) -> Attempt:
    row = connection.execute(attempts_with_tracks().where(attempts.c.token == token)).mappings().one()
    return attempt_from_row(row)
