"""Attempts: the intent to pay, the submit, what became of its job, and its stored stems or its failure."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, RowMapping, select

from stemline.budget import BudgetHold, Limits, check_limits
from stemline.errors import LedgerConflict
from stemline.ledger import credit
from stemline.ledger.balance import BalanceReading
from stemline.ledger.database import LedgerDatabase
from stemline.ledger.failure import fail_attempt
from stemline.ledger.intent import is_reserved, write_intent
from stemline.ledger.lease import require_fence, require_lease
from stemline.ledger.pilot import PilotQuestion, require_room
from stemline.ledger.repetition import repeating_verbs
from stemline.ledger.row_mapping import (
    attempt_from_row,
    attempts_with_tracks,
    dump_collected,
    dump_job,
)
from stemline.ledger.run import find_run
from stemline.ledger.tables import attempts
from stemline.ledger.transition import (
    RELEASED,
    AttemptTransition,
    LedgerEvent,
    find_attempt,
    move_attempt,
    require_state,
    reword,
    write_event,
)
from stemline.records import NEVER, Attempt, Code, CollectedTrack, Failure, Job, State, Submission, Track

PAID = frozenset({State.READY, State.COLLECTED, State.PUBLISHED, State.QUARANTINED, State.EXPIRED})


@repeating_verbs
class Attempts:
    """The verbs from the intent to pay to the stored stems."""

    def __init__(self, database: LedgerDatabase) -> None:
        self._database = database

    def reserve(  # noqa: PLR0913 - what an intent consists of
        self,
        run_id: str,
        track: Track,
        token: str,
        amount: int,
        limits: Limits,
        *,
        key_id: str | None = None,
        pilot: PilotQuestion | None = None,
    ) -> Attempt | BudgetHold:
        """Write the intent to pay for a planned track: its attempt, its credits, all limits checked.

        `key_id` is the API key it will be submitted with; None: the run's first.
        Gives a BudgetHold, and changes nothing, when a limit would be passed. The check, the sums and the booking are
        one transaction of the ledger's only writer, so no other thread or process can slip in between.
        Raises LedgerConflict when the track is not planned or another attempt of it is live, or when the `pilot`, which
        runs beside this one may share, has no room for it.
        """
        now = self._database.clock()
        with self._database.write() as connection:
            run = find_run(connection, run_id)
            if is_reserved(connection, token, run_id, track):  # said again, after a commit without an answer
                return _read_attempt(connection, token)
            held = check_limits(amount, limits, credit.read_spending(connection, run, now, limits), now)
            if held is not None:
                return held
            if pilot is not None:
                require_room(connection, now, self._database.shared_now(connection), pilot)
            key = {"track_id": track.track_id, "recipe": run["recipe"], "provider": run["provider"]}
            owner = {**key, "run_id": run_id, "token": token, "key_id": key_id or run["key_id"]}
            write_intent(connection, now, owner, track, amount)
            return _read_attempt(connection, token)

    def mark_sending(
        self,
        token: str,
        *,
        fence: int | None = None,
        request: Mapping[str, Any] | None = None,
        balance: BalanceReading | None = None,
    ) -> Attempt:
        """Commit that the paid request is about to leave; a repeat under the same token keeps the first time.

        `request` is its body, kept so that it can be repeated word for word; `balance` is the last one read before
        it, kept to tell later whether it was charged. With `fence`, raises LeaseHeld when the key's lease was let go,
        has run out, or has gone to somebody else.
        """
        with self._database.write() as connection:
            now = self._database.clock()  # not before: waiting for the ledger's only writer may take long
            row = find_attempt(connection, token)
            if fence is not None:
                require_lease(connection, row["key_id"], fence, self._database.shared_now(connection))
            require_state(row, "mark_sending", {State.SUBMITTING, State.UNKNOWN})
            if row["sent_at"] is None:
                values = {"sent_at": now, "request": json.dumps(dict(request)) if request else None}
                connection.execute(attempts.update().where(attempts.c.token == token).values(**values))
            detail = {} if balance is None else balance.as_tree()
            write_event(connection, now, row, LedgerEvent("mark_sending", row["state"], row["state"], detail))
            return replace(_read_attempt(connection, token), sent_at=row["sent_at"] or now)

    def record_submission(self, token: str, submission: Submission) -> Attempt:
        """Keep the job the provider made of an attempt, and correct the reservation to what it asks, or to its length.

        Saying the same job again changes nothing. Raises LedgerConflict for a second job, or a job that
        belongs to another attempt.
        """
        now = self._database.clock()
        with self._database.write() as connection:
            row = find_attempt(connection, token)
            if row["job_id"] != submission.job_id:
                require_state(row, "record_submission", {State.SUBMITTING, State.UNKNOWN})
                asked = credit.asked_for(row["credits_reserved"], submission)
                move_attempt(connection, now, row, _accepted(now, row, submission, asked))
                if asked != row["credits_reserved"]:
                    credit.adjust(connection, now, token, asked)
            return _read_attempt(connection, token)

    def release(  # noqa: PLR0913 - why it ends, and who says so
        self,
        token: str,
        code: Code = Code.OK,
        sentence: str = "",
        *,
        state: State = State.PLANNED,
        is_retryable: bool = False,
        fence: int | None = None,
    ) -> None:
        """End an attempt that was never sent or was refused: its credits are free again.

        The track goes to `state` (planned, failed, held or rejected); only failed counts as a failure.
        With `fence`, raises LeaseHeld when the key's lease has gone to somebody else, who may be sending it again.
        """
        now = self._database.clock()
        with self._database.write() as connection:
            row = find_attempt(connection, token)
            if row["state"] == RELEASED:
                return
            if fence is not None:
                require_fence(connection, row["key_id"], fence)
            require_state(row, "release", {State.SUBMITTING, State.UNKNOWN})
            credit.release(connection, now, token)
            released = AttemptTransition("release", RELEASED, state, code, sentence, is_retryable)
            move_attempt(connection, now, row, released)

    def withdraw(self, token: str) -> bool:
        """End an intent whose paid request never left, and give whether it did not.

        Whoever reads what is under way sees it as it was: meanwhile it may have left, from a run whose lease ran out
        and that lives all the same.
        """
        now = self._database.clock()
        with self._database.write() as connection:
            row = find_attempt(connection, token)
            if row["state"] == State.SUBMITTING and row["sent_at"] is None:
                credit.release(connection, now, token)
                move_attempt(connection, now, row, AttemptTransition("release", RELEASED, State.PLANNED))
                return True
            return bool(row["state"] == RELEASED)

    def mark_unknown(self, token: str, sentence: str) -> None:
        """Set an attempt aside whose submit got no answer that could be resolved; credits stay reserved.

        Said again, it changes the sentence: each run that asks about it may find out more.
        """
        with self._database.write() as connection:
            row = find_attempt(connection, token)
            if row["state"] == State.UNKNOWN:
                reword(connection, row, sentence)
                return
            require_state(row, "mark_unknown", {State.SUBMITTING})
            unknown = AttemptTransition(
                "mark_unknown", State.UNKNOWN, State.UNKNOWN, Code.SUBMIT_UNANSWERED, sentence
            )
            move_attempt(connection, self._database.clock(), row, unknown)

    def record_ready(self, token: str, job: Job) -> bool:
        """Say that the outputs exist: the reservation becomes the charge; give whether this was news.

        Without `credits_charged` what was reserved counts as charged. Recording it twice (a webhook and a
        sweep) charges once.
        """
        now = self._database.clock()
        with self._database.write() as connection:
            row = find_attempt(connection, token)
            links = {"links_expire_at": None if job.links_expire_at == NEVER else job.links_expire_at}
            if row["state"] in PAID:
                if job.outputs and row["state"] == State.READY:
                    connection.execute(attempts.update().where(attempts.c.token == token).values(**links))
                return False
            require_state(row, "record_ready", {State.PROCESSING})
            if row["job_id"] != job.job_id:
                message = f"Attempt {token} is job {row['job_id']}, not job {job.job_id}."
                raise LedgerConflict(message)
            charged = credit.settle(connection, now, token, job.credits_charged)
            values = {"ready_at": now, "credits_charged": charged, "job": dump_job(job), **links}
            ready = AttemptTransition("record_ready", State.READY, State.READY, values=values)
            move_attempt(connection, now, row, ready)
            return True

    def record_collected(self, collected: CollectedTrack) -> bool:
        """Keep the verified, stored stems of a ready attempt; give whether this was news."""
        with self._database.write() as connection:
            row = find_attempt(connection, collected.token)
            if row["state"] in {State.COLLECTED, State.PUBLISHED}:
                return False
            require_state(row, "record_collected", {State.READY})
            there = self._database.destination
            values = {
                "result": dump_collected(collected),
                "dataset_id": None if there is None else there.dataset_id,
            }
            collect = AttemptTransition("record_collected", State.COLLECTED, State.COLLECTED, values=values)
            move_attempt(connection, self._database.clock(), row, collect)
            return True

    def fail(self, failure: Failure, *, credits_charged: int | None = None) -> State:
        """End an attempt that got no further, and give the state its track is in now.

        A job that failed, or an unknown given up, keeps its credits reserved as disputed unless
        `credits_charged` says what it cost (0: nothing): no vendor says when a failed job is refunded. What
        was refused is released. A paid attempt whose collecting failed stays `ready`, with the reason: it is
        not paid twice.
        `failure.state` is failed, unknown, quarantined or expired.
        """
        now = self._database.clock()
        with self._database.write() as connection:
            row = find_attempt(connection, failure.token)
            if row["state"] == failure.state and failure.state is not State.READY:
                return failure.state
            return fail_attempt(connection, now, row, failure, credits_charged)

    def mark_late(self, token: str, sentence: str) -> None:
        """Say that a job takes longer than is waited for: it stays with the provider, for later runs to look at."""
        with self._database.write() as connection:
            row = find_attempt(connection, token)
            if row["state"] == State.PROCESSING:
                late = AttemptTransition(
                    "mark_late", State.PROCESSING, State.PROCESSING, Code.JOB_LATE, sentence
                )
                move_attempt(connection, self._database.clock(), row, late)

    def get(self, token: str) -> Attempt:
        """Give an attempt; raises LedgerConflict for a token the ledger does not know."""
        with self._database.read() as connection:
            find_attempt(connection, token)
            return _read_attempt(connection, token)

    def find_by_job(self, provider: str, job_id: str) -> Attempt | None:
        """Give the attempt a job belongs to."""
        query = attempts_with_tracks().where(attempts.c.provider == provider, attempts.c.job_id == job_id)
        with self._database.read() as connection:
            row = connection.execute(query).mappings().one_or_none()
        return None if row is None else attempt_from_row(row)

    def of_track(self, provider: str, track_id: str) -> list[Attempt]:
        """Give every attempt of a track, first to last."""
        query = (
            attempts_with_tracks()
            .where(attempts.c.provider == provider, attempts.c.track_id == track_id)
            .order_by(attempts.c.recipe, attempts.c.number)
        )
        with self._database.read() as connection:
            return [attempt_from_row(row) for row in connection.execute(query).mappings()]

    def key_of(self, token: str) -> str | None:
        """Give the fingerprint of the API key an attempt was made with; None where none was noted."""
        with self._database.read() as connection:
            return connection.execute(
                select(attempts.c.key_id).where(attempts.c.token == token)
            ).scalar_one_or_none()


def _accepted(now: datetime, row: RowMapping, submission: Submission, asked: int) -> AttemptTransition:
    values = {
        "job_id": submission.job_id,
        "sent_at": row["sent_at"] or now,
        "estimated_seconds": submission.estimated_seconds,
        "source_sha256": submission.source_sha256,
        "request": None,  # it may hold a presigned link, and nothing repeats it now
        "credits_reserved": asked,
    }
    return AttemptTransition("record_submission", State.PROCESSING, State.PROCESSING, values=values)


def _read_attempt(connection: Connection, token: str) -> Attempt:
    row = connection.execute(attempts_with_tracks().where(attempts.c.token == token)).mappings().one()
    return attempt_from_row(row)
