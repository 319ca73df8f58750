"""The durable jobs: every change of a job and of its credits is one committed transaction.

    PENDING -> PROCESSING -> COMPLETED -> EXPIRED
                          -> FAILED

A job that was running when the server died is pending again at the next start.
"""

from __future__ import annotations

import json
import secrets
import sqlite3
import string
from collections.abc import Callable
from dataclasses import asdict, dataclass, fields
from enum import StrEnum
from typing import Self

from stemline.service import credits as account_credits
from stemline.service.database import Database
from stemline.service.refusal import Reason, Refusal

MAX_CRASHES = 2
"""So often may a worker die over a job before the job is to blame."""
_ALPHABET = string.ascii_lowercase + string.digits


class Status(StrEnum):
    """Where a job stands."""

    PENDING = "PENDING"
    PROCESSING = "PROCESSING"
    COMPLETED = "COMPLETED"
    FAILED = "FAILED"
    EXPIRED = "EXPIRED"


@dataclass(frozen=True, slots=True)
class Order:
    """An accepted source and what is wanted from it, before it is a job."""

    id: str
    account: str
    file_name: str
    duration_seconds: int
    size_bytes: int
    source: str
    """The name of the file in the storage."""
    stems: str
    quality: str
    format: str

    @property
    def credits_required(self) -> int:
        """One credit a second."""
        return self.duration_seconds


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a separation made: the files by stem, tempo and key."""

    outputs: dict[str, str]
    bpm: float | None
    key: str | None


@dataclass(frozen=True, slots=True)
class Job:
    """One row of the jobs; times are Unix seconds."""

    id: str
    account: str
    status: Status
    created_at: float
    started_at: float | None
    completed_at: float | None
    expires_at: float | None
    file_name: str
    duration_seconds: int
    size_bytes: int
    source: str
    stems: str
    quality: str
    format: str
    credits_required: int
    credits_charged: int
    crashes: int
    error: str | None
    bpm: float | None
    key: str | None
    outputs: dict[str, str]
    """The name in the storage of each stem; empty until the job is done."""

    @classmethod
    def read(cls, row: sqlite3.Row) -> Self:
        """Give the job of a row."""
        values = {column.name: row[column.name] for column in fields(cls)}
        values["status"] = Status(row["status"])
        values["outputs"] = json.loads(row["outputs"] or "{}")
        return cls(**values)


def new_id() -> str:
    """Give a job id of the vendor's look: `c` and 24 letters and digits."""
    return "c" + "".join(secrets.choice(_ALPHABET) for _ in range(24))


@dataclass(frozen=True, slots=True)
class Jobs:
    """The jobs of all accounts."""

    _database: Database
    _clock: Callable[[], float]
    _retention_seconds: float
    """How long outputs are kept."""

    def accept(self, order: Order) -> Job:
        """Reserve the credits and keep the job; both are on disk when this returns.

        Raises:
            Refusal: INSUFFICIENT_CREDITS.
        """
        now = self._clock()
        values = {
            **asdict(order),
            "credits_required": order.credits_required,
            "created_at": now,
            "status": Status.PENDING,
        }
        marks = ", ".join(f":{name}" for name in values)
        with self._database.transaction() as connection:
            account_credits.reserve(connection, order.account, order.credits_required, now)
            query = f"INSERT INTO jobs ({', '.join(values)}) VALUES ({marks}) RETURNING *"
            return Job.read(connection.execute(query, values).fetchone())

    def find(self, account: str, job_id: str) -> Job:
        """Give one job of an account.

        Raises:
            Refusal: UNKNOWN_JOB, for another account's job too.
        """
        with self._database.transaction() as connection:
            self._expire(connection)
            query = "SELECT * FROM jobs WHERE account = ? AND id = ?"
            row = connection.execute(query, (account, job_id)).fetchone()
        if row is None:
            raise Refusal(Reason.UNKNOWN_JOB, "Job not found.")
        return Job.read(row)

    def page(self, account: str, limit: int, offset: int, status: Status | None) -> tuple[list[Job], int]:
        """Give some jobs of an account, newest first, and how many there are in all."""
        where = "account = ?" + (" AND status = ?" if status else "")
        wanted = (account, status) if status else (account,)
        with self._database.transaction() as connection:
            self._expire(connection)
            total = connection.execute(f"SELECT count(*) FROM jobs WHERE {where}", wanted).fetchone()[0]
            query = f"SELECT * FROM jobs WHERE {where} ORDER BY number DESC LIMIT ? OFFSET ?"
            rows = connection.execute(query, (*wanted, limit, offset)).fetchall()
        return [Job.read(row) for row in rows], total

    def claim(self) -> Job | None:
        """Start the oldest pending job; None when there is none."""
        query = (
            "UPDATE jobs SET status = 'PROCESSING', started_at = ? WHERE number ="
            " (SELECT number FROM jobs WHERE status = 'PENDING' ORDER BY number LIMIT 1) RETURNING *"
        )
        with self._database.transaction() as connection:
            row = connection.execute(query, (self._clock(),)).fetchone()
        return Job.read(row) if row else None

    def complete(self, job_id: str, outcome: Outcome) -> None:
        """Close a running job and charge what was reserved for it."""
        now = self._clock()
        query = (
            "UPDATE jobs SET status = 'COMPLETED', completed_at = ?, expires_at = ?, outputs = ?, bpm = ?,"
            " key = ?, credits_charged = credits_required WHERE id = ? AND status = 'PROCESSING'"
        )
        outputs = json.dumps(outcome.outputs)
        values = (now, now + self._retention_seconds, outputs, outcome.bpm, outcome.key, job_id)
        with self._database.transaction() as connection:
            connection.execute(query, values)

    def fail(self, job_id: str, message: str) -> None:
        """Close a running job as failed and give its credits back."""
        with self._database.transaction() as connection:
            self._fail(connection, job_id, message)

    def put_back(self, job_id: str) -> bool:
        """Make a job pending again whose worker died, or fail it at the second time; True when pending."""
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

    def take_expired(self) -> list[str]:
        """Give the ids of the expired jobs whose outputs may go; each is given once."""
        query = "UPDATE jobs SET outputs = NULL WHERE status = 'EXPIRED' AND outputs IS NOT NULL RETURNING id"
        with self._database.transaction() as connection:
            self._expire(connection)
            return [row["id"] for row in connection.execute(query).fetchall()]

    def ids(self, *statuses: Status) -> set[str]:
        """Give the ids of all jobs that stand at one of `statuses`."""
        query = f"SELECT id FROM jobs WHERE status IN ({', '.join('?' * len(statuses))})"
        with self._database.transaction() as connection:
            return {row["id"] for row in connection.execute(query, statuses)}

    def waiting_seconds(self) -> int:
        """Give how many seconds of audio are pending or running."""
        query = (
            "SELECT coalesce(sum(duration_seconds), 0) FROM jobs WHERE status IN ('PENDING', 'PROCESSING')"
        )
        with self._database.transaction() as connection:
            seconds: int = connection.execute(query).fetchone()[0]
        return seconds

    def pace(self) -> float | None:
        """Give the seconds of work per second of audio in the latest twenty jobs; None before the first."""
        latest = "SELECT * FROM jobs WHERE status = 'COMPLETED' ORDER BY number DESC LIMIT 20"
        query = f"SELECT sum(completed_at - started_at) / sum(duration_seconds) FROM ({latest})"
        with self._database.transaction() as connection:
            pace: float | None = connection.execute(query).fetchone()[0]
        return pace

    def _fail(self, connection: sqlite3.Connection, job_id: str, message: str) -> None:
        now = self._clock()
        query = (
            "UPDATE jobs SET status = 'FAILED', completed_at = ?, error = ?"
            " WHERE id = ? AND status = 'PROCESSING' RETURNING account, credits_required"
        )
        row = connection.execute(query, (now, message, job_id)).fetchone()
        if row is not None:
            account_credits.refund(connection, row["account"], row["credits_required"], now)

    def _expire(self, connection: sqlite3.Connection) -> None:
        query = "UPDATE jobs SET status = 'EXPIRED' WHERE status = 'COMPLETED' AND expires_at <= ?"
        connection.execute(query, (self._clock(),))
