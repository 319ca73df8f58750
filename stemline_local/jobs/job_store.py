"""The job store: every change of a job and of its credits is one committed transaction.

A job that was running when the server died is pending again at the next start.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Callable, Collection
from dataclasses import asdict, dataclass

from stemline_local.jobs.accounts import refund, reserve
from stemline_local.jobs.database import ServiceDatabase
from stemline_local.jobs.job import (
    IdempotencyKey,
    JobKind,
    JobOrder,
    JobOutcome,
    JobPage,
    JobStatus,
    ServiceJob,
)
from stemline_local.jobs.job_events import queue_deliveries
from stemline_local.refusal import Refusal, RefusalReason

MAX_CRASHES = 2
"""So often may an engine process die over a job before the job is to blame."""


@dataclass(frozen=True, slots=True)
class JobStore:
    """The jobs of all accounts."""

    _database: ServiceDatabase
    _clock: Callable[[], float]
    _retention_seconds: float
    """How long outputs are kept."""

    def accept(self, order: JobOrder, idempotency: IdempotencyKey | None = None) -> ServiceJob:
        """Reserve the credits and keep the job; both are on disk when this returns.

        An order whose idempotency key was accepted before gives the job of that time and takes nothing.

        Raises:
            Refusal: INSUFFICIENT_CREDITS, IDEMPOTENCY_CONFLICT.
        """
        now = self._clock()
        values = {**asdict(order), "created_at": now, "status": JobStatus.PENDING}
        values["details"] = json.dumps(order.details)
        marks = ", ".join(f":{name}" for name in values)
        with self._database.transaction() as connection:
            if idempotency is not None and (job := _find_repeat(connection, order.account, idempotency)):
                return job
            reserve(connection, order.account, order.credits_required, now)
            query = f"INSERT INTO jobs ({', '.join(values)}) VALUES ({marks}) RETURNING *"
            job = ServiceJob.read(connection.execute(query, values).fetchone())
            if idempotency is not None:
                kept = (order.account, idempotency.key, idempotency.fingerprint, order.id)
                connection.execute("INSERT INTO repeats VALUES (?, ?, ?, ?)", kept)
        return job

    def find_repeat(self, account: str, idempotency: IdempotencyKey) -> ServiceJob | None:
        """Give the job that the same submit made before; None when this is the first.

        Raises:
            Refusal: IDEMPOTENCY_CONFLICT, when its key came with something else before.
        """
        with self._database.transaction() as connection:
            return _find_repeat(connection, account, idempotency)

    def find(self, account: str, job_id: str, kind: JobKind = JobKind.STEM) -> ServiceJob:
        """Give one job of an account.

        Raises:
            Refusal: UNKNOWN_JOB, for another account's job too.
        """
        with self._database.transaction() as connection:
            self._expire(connection)
            query = "SELECT * FROM jobs WHERE account = ? AND id = ? AND kind = ?"
            row = connection.execute(query, (account, job_id, kind)).fetchone()
        if row is None:
            raise Refusal(RefusalReason.UNKNOWN_JOB, "Job not found.")
        return ServiceJob.read(row)

    def page(self, account: str, page: JobPage) -> tuple[list[ServiceJob], int]:
        """Give some jobs of an account and how many there are in all."""
        kinds = ", ".join(f"'{kind}'" for kind in page.kinds)
        where = f"account = ? AND kind IN ({kinds})" + (" AND status = ?" if page.status else "")
        wanted = (account, page.status) if page.status else (account,)
        with self._database.transaction() as connection:
            self._expire(connection)
            total = connection.execute(f"SELECT count(*) FROM jobs WHERE {where}", wanted).fetchone()[0]
            order = "ASC" if page.is_oldest_first else "DESC"
            query = f"SELECT * FROM jobs WHERE {where} ORDER BY number {order} LIMIT ? OFFSET ?"
            rows = connection.execute(query, (*wanted, page.limit, page.offset)).fetchall()
        return [ServiceJob.read(row) for row in rows], total

    def claim(self) -> ServiceJob | None:
        """Start the oldest pending job; None when there is none."""
        query = (
            "UPDATE jobs SET status = 'PROCESSING', started_at = ? WHERE number ="
            " (SELECT number FROM jobs WHERE status = 'PENDING' ORDER BY number LIMIT 1) RETURNING *"
        )
        with self._database.transaction() as connection:
            row = connection.execute(query, (self._clock(),)).fetchone()
        return ServiceJob.read(row) if row else None

    def complete(self, job_id: str, outcome: JobOutcome, *, is_kept: bool = True) -> None:
        """Close a running job and charge what was reserved for it; what is not kept expires at once."""
        now = self._clock()
        expires_at = now + self._retention_seconds if is_kept else now
        query = (
            "UPDATE jobs SET status = 'COMPLETED', completed_at = ?, expires_at = ?, outputs = ?, bpm = ?,"
            " key = ?, credits_charged = credits_required WHERE id = ? AND status = 'PROCESSING' RETURNING *"
        )
        outputs = json.dumps(outcome.outputs)
        values = (now, expires_at, outputs, outcome.bpm, outcome.key, job_id)
        with self._database.transaction() as connection:
            row = connection.execute(query, values).fetchone()
            if row is not None:
                queue_deliveries(connection, row, now)

    def fail(self, job_id: str, message: str, *, is_charged: bool = False) -> None:
        """Close a running job as failed and give its credits back, unless they are charged all the same."""
        with self._database.transaction() as connection:
            self._fail(connection, job_id, message, is_charged=is_charged)

    def requeue(self, job_id: str) -> bool:
        """Make a job pending again whose engine process died, or fail it the second time; True when pending."""
        count = (
            "UPDATE jobs SET crashes = crashes + 1 WHERE id = ? AND status = 'PROCESSING' RETURNING crashes"
        )
        restart = "UPDATE jobs SET status = 'PENDING', started_at = NULL WHERE id = ?"
        with self._database.transaction() as connection:
            row = connection.execute(count, (job_id,)).fetchone()
            if row is None:
                return False
            if row["crashes"] >= MAX_CRASHES:
                self._fail(connection, job_id, "The separation stopped unexpectedly.")
                return False
            connection.execute(restart, (job_id,))
        return True

    def resume(self) -> int:
        """Make pending again what an earlier server left running, and count what is pending."""
        restart = "UPDATE jobs SET status = 'PENDING', started_at = NULL WHERE status = 'PROCESSING'"
        with self._database.transaction() as connection:
            connection.execute(restart)
            row = connection.execute("SELECT count(*) FROM jobs WHERE status = 'PENDING'").fetchone()
        count: int = row[0]
        return count

    def expire(self, job_ids: Collection[str]) -> None:
        """Keep the outputs of these jobs no longer."""
        query = "UPDATE jobs SET expires_at = ? WHERE status = 'COMPLETED' AND id = ?"
        with self._database.transaction() as connection:
            connection.executemany(query, [(self._clock(), job_id) for job_id in job_ids])

    def take_expired(self) -> list[str]:
        """Give the ids of the expired jobs whose outputs may go; each is given once."""
        query = "UPDATE jobs SET outputs = NULL WHERE status = 'EXPIRED' AND outputs IS NOT NULL RETURNING id"
        with self._database.transaction() as connection:
            self._expire(connection)
            return [row["id"] for row in connection.execute(query).fetchall()]

    def ids(self, *statuses: JobStatus) -> set[str]:
        """Give the ids of all jobs that stand at one of `statuses`."""
        query = f"SELECT id FROM jobs WHERE status IN ({', '.join('?' * len(statuses))})"
        with self._database.transaction() as connection:
            return {row["id"] for row in connection.execute(query, statuses)}

    def count_by_status(self) -> dict[str, int]:
        """Give how many jobs stand at each status."""
        with self._database.transaction() as connection:
            self._expire(connection)
            rows = connection.execute("SELECT status, count(*) FROM jobs GROUP BY status").fetchall()
        return dict(rows)

    def waiting_seconds(self) -> int:
        """Give how many seconds of audio are pending or running."""
        query = (
            "SELECT coalesce(sum(duration_seconds), 0) FROM jobs WHERE status IN ('PENDING', 'PROCESSING')"
        )
        with self._database.transaction() as connection:
            seconds: int = connection.execute(query).fetchone()[0]
        return seconds

    def reserved_since(self, account: str, moment: float) -> int:
        """Give the credits that an account's jobs have taken since a Unix second."""
        query = (
            "SELECT coalesce(sum(credits_required), 0) FROM jobs"
            " WHERE account = ? AND created_at > ? AND (status != 'FAILED' OR credits_charged > 0)"
        )
        with self._database.transaction() as connection:
            seconds: int = connection.execute(query, (account, moment)).fetchone()[0]
        return seconds

    def pace(self) -> float | None:
        """Give the seconds of work per second of audio in the latest twenty jobs; None before the first."""
        latest = "SELECT * FROM jobs WHERE status = 'COMPLETED' ORDER BY number DESC LIMIT 20"
        query = f"SELECT sum(completed_at - started_at) / sum(duration_seconds) FROM ({latest})"
        with self._database.transaction() as connection:
            pace: float | None = connection.execute(query).fetchone()[0]
        return pace

    def _fail(
        self, connection: sqlite3.Connection, job_id: str, message: str, *, is_charged: bool = False
    ) -> None:
        now = self._clock()
        query = (
            "UPDATE jobs SET status = 'FAILED', completed_at = ?, error = ?, credits_charged = credits_required * ?"
            " WHERE id = ? AND status = 'PROCESSING' RETURNING *"
        )
        row = connection.execute(query, (now, message, is_charged, job_id)).fetchone()
        if row is None:
            return
        if not is_charged:
            refund(connection, row["account"], row["credits_required"], now)
        queue_deliveries(connection, row, now)

    def _expire(self, connection: sqlite3.Connection) -> None:
        query = "UPDATE jobs SET status = 'EXPIRED' WHERE status = 'COMPLETED' AND expires_at <= ?"
        connection.execute(query, (self._clock(),))


def _find_repeat(
    connection: sqlite3.Connection, account: str, idempotency: IdempotencyKey
) -> ServiceJob | None:
    query = (
        "SELECT fingerprint, jobs.* FROM repeats JOIN jobs ON jobs.id = repeats.job"
        " WHERE repeats.account = ? AND repeats.key = ?"
    )
    row = connection.execute(query, (account, idempotency.key)).fetchone()
    if row is None:
        return None
    if row["fingerprint"] != idempotency.fingerprint:
        raise Refusal(RefusalReason.IDEMPOTENCY_CONFLICT, "This Idempotency-Key was used with another body.")
    return ServiceJob.read(row)
