"""What became of a job: ready and charged, collected, failed, quarantined or expired."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, RowMapping, func, select

from stemline.errors import LedgerConflict
from stemline.ledger import credit
from stemline.ledger.attempt import Attempts
from stemline.ledger.row import dump_collected, dump_job
from stemline.ledger.schema import attempts
from stemline.ledger.transition import Change, Step, find_attempt, require_state, take, write_event
from stemline.records import CollectedTrack, Failure, Job, State

PAID = frozenset({State.READY, State.COLLECTED, State.PUBLISHED, State.QUARANTINED, State.EXPIRED})


class Outcomes(Attempts):
    """The verbs from the provider's verdict to the stored stems."""

    def record_ready(self, token: str, job: Job) -> bool:
        """Say that the outputs exist: the reservation becomes the charge; give whether this was news.

        Without `credits_charged` what was reserved counts as charged. Hearing of it twice (a webhook and a
        sweep) charges once.
        """
        now = self.clock()
        with self.write() as connection:
            row = find_attempt(connection, token)
            if row["state"] in PAID:
                return False
            require_state(row, "record_ready", {State.PROCESSING})
            if row["job_id"] != job.job_id:
                message = f"Attempt {token} is job {row['job_id']}, not job {job.job_id}."
                raise LedgerConflict(message)
            charged = credit.settle(connection, now, token, job.credits_charged)
            values = {"ready_at": now, "credits_charged": charged, "job": dump_job(job)}
            take(connection, now, row, Step("record_ready", State.READY, State.READY, values=values))
            return True

    def record_collected(self, collected: CollectedTrack) -> bool:
        """Keep the verified, stored stems of a ready attempt; give whether this was news."""
        with self.write() as connection:
            row = find_attempt(connection, collected.token)
            if row["state"] in {State.COLLECTED, State.PUBLISHED}:
                return False
            require_state(row, "record_collected", {State.READY})
            values = {"result": dump_collected(collected)}
            step = Step("record_collected", State.COLLECTED, State.COLLECTED, values=values)
            take(connection, self.clock(), row, step)
            return True

    def fail(self, failure: Failure, *, credits_charged: int | None = None) -> State:
        """End an attempt that got no further, and give the state its track is in now.

        A job that failed, or an unknown given up, keeps its credits reserved as disputed unless
        `credits_charged` says what it cost (0: nothing): no vendor says when a failed job is refunded. What
        was refused is released. A paid attempt whose collecting failed stays `ready`, with the reason: it is
        not paid twice.
        `failure.state` is failed, unknown, quarantined or expired.
        """
        now = self.clock()
        with self.write() as connection:
            row = find_attempt(connection, failure.token)
            if row["state"] == failure.state:
                return failure.state
            require_state(row, f"fail to {failure.state}", _origins(failure.state))
            step = _ending(row, failure)
            take(
                connection,
                now,
                row,
                replace(step, values=_book_ending(connection, now, row, credits_charged, step)),
            )
            return step.track_state

    def release_disputed(self, run_id: str) -> int:
        """Give back the credits of the run's failed jobs (a later balance shows no charge); give how many."""
        return self._settle_disputed(run_id, is_charged=False)

    def charge_disputed(self, run_id: str) -> int:
        """Book the credits of the run's failed jobs as charged (a later balance shows it); give how many."""
        return self._settle_disputed(run_id, is_charged=True)

    def disputed(self, provider: str) -> dict[str, int]:
        """Give the credits still disputed, by run."""
        query = (
            select(attempts.c.run_id, func.sum(attempts.c.credits_reserved))
            .where(attempts.c.provider == provider, attempts.c.is_disputed)
            .group_by(attempts.c.run_id)
        )
        with self.read() as connection:
            return {run_id: int(amount) for run_id, amount in connection.execute(query)}

    def _settle_disputed(self, run_id: str, *, is_charged: bool) -> int:
        now, amount = self.clock(), 0
        query = select(attempts).where(attempts.c.run_id == run_id, attempts.c.is_disputed)
        with self.write() as connection:
            for row in connection.execute(query).mappings().all():
                token = row["token"]
                settled = (
                    credit.settle(connection, now, token, None)
                    if is_charged
                    else credit.release(connection, now, token)
                )
                values = {"is_disputed": False, "credits_charged": settled if is_charged else 0}
                connection.execute(attempts.update().where(attempts.c.token == token).values(**values))
                verb = "charge_disputed" if is_charged else "release_disputed"
                write_event(
                    connection, now, row, Change(verb, row["state"], row["state"], {"credits": settled})
                )
                amount += settled
        return amount


def _origins(state: State) -> frozenset[str]:
    """Give the states from which a failure may lead to `state`."""
    if state is State.QUARANTINED:
        return frozenset({State.READY})
    if state is State.EXPIRED:
        return frozenset({State.PROCESSING, State.READY})
    if state is State.UNKNOWN:
        return frozenset({State.SUBMITTING})
    return frozenset({State.SUBMITTING, State.UNKNOWN, State.PROCESSING, State.READY})


def _ending(row: RowMapping, failure: Failure) -> Step:
    end = failure.state
    if end is State.FAILED and row["state"] == State.READY:
        end = State.READY
    verb = {State.READY: "postpone", State.FAILED: "fail"}.get(end, end.value)
    return Step(verb, end, end, failure.code, failure.sentence, failure.is_retryable)


def _book_ending(
    connection: Connection, now: datetime, row: RowMapping, charged: int | None, step: Step
) -> Mapping[str, Any]:
    """Book what the ending costs and give the columns it sets."""
    if row["state"] == State.READY or step.state == State.UNKNOWN:
        return {}
    if step.state == State.FAILED and charged is None:
        if row["state"] in {State.PROCESSING, State.UNKNOWN}:
            return {"is_disputed": True}
        credit.release(connection, now, row["token"])
        return {}
    return {"credits_charged": credit.settle(connection, now, row["token"], charged)}
