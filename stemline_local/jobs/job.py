"""The records of the job store: what is ordered, what came of it, and the job that is both.

PENDING -> PROCESSING -> COMPLETED -> EXPIRED
                      -> FAILED
"""

from __future__ import annotations

import json
import secrets
import sqlite3
import string
from dataclasses import dataclass, field, fields
from enum import StrEnum
from typing import Any, Self

_ALPHABET = string.ascii_lowercase + string.digits


class JobStatus(StrEnum):
    """Where a job stands."""

    PENDING = "PENDING"
    PROCESSING = "PROCESSING"
    COMPLETED = "COMPLETED"
    FAILED = "FAILED"
    EXPIRED = "EXPIRED"


class JobKind(StrEnum):
    """Which vendor's kind of job it is."""

    STEM = "stem"
    YOUTUBE = "youtube"
    SPLIT = "split"


@dataclass(frozen=True, slots=True)
class JobOrder:
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
    credits_required: int
    kind: JobKind = JobKind.STEM
    details: dict[str, Any] = field(default_factory=dict)
    """What only the job's own dialect understands."""


@dataclass(frozen=True, slots=True)
class IdempotencyKey:
    """The Idempotency-Key of a submit, and a digest of the body it came with."""

    key: str
    fingerprint: str


@dataclass(frozen=True, slots=True)
class JobOutcome:
    """What a separation made: the files by stem, tempo and key."""

    outputs: dict[str, str]
    bpm: float | None
    key: str | None


@dataclass(frozen=True, slots=True)
class ServiceJob:
    """One row of the jobs; times are Unix seconds."""

    id: str
    account: str
    status: JobStatus
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
    kind: JobKind
    details: dict[str, Any]

    @classmethod
    def read(cls, row: sqlite3.Row) -> Self:
        """Give the job of a row."""
        values = {column.name: row[column.name] for column in fields(cls)}
        values["status"] = JobStatus(row["status"])
        values["kind"] = JobKind(row["kind"])
        values["outputs"] = json.loads(row["outputs"] or "{}")
        values["details"] = json.loads(row["details"])
        return cls(**values)


def new_id(prefix: str = "c") -> str:
    """Give an id of a vendor's look: StemSplit's jobs are `c` and 24 letters and digits."""
    return prefix + "".join(secrets.choice(_ALPHABET) for _ in range(24))


@dataclass(frozen=True, slots=True)
class JobPage:
    """Which jobs of an account are asked for; newest first is the vendor's order."""

    limit: int = 20
    offset: int = 0
    status: JobStatus | None = None
    kinds: tuple[JobKind, ...] = (JobKind.STEM,)
    is_oldest_first: bool = False
