"""The nouns of the job store: what is ordered, what came of it, and the job that is both.

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


class Status(StrEnum):
    """Where a job stands."""

    PENDING = "PENDING"
    PROCESSING = "PROCESSING"
    COMPLETED = "COMPLETED"
    FAILED = "FAILED"
    EXPIRED = "EXPIRED"


class Kind(StrEnum):
    """Which of the vendors' things a job is."""

    STEM = "stem"
    YOUTUBE = "youtube"
    SPLIT = "split"


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
    credits_required: int
    kind: Kind = Kind.STEM
    details: dict[str, Any] = field(default_factory=dict)
    """What only the job's own dialect understands."""


@dataclass(frozen=True, slots=True)
class Repeat:
    """A client's own key for one submit, and a digest of what it asked with it."""

    key: str
    fingerprint: str


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
    kind: Kind
    details: dict[str, Any]

    @classmethod
    def read(cls, row: sqlite3.Row) -> Self:
        """Give the job of a row."""
        values = {column.name: row[column.name] for column in fields(cls)}
        values["status"] = Status(row["status"])
        values["kind"] = Kind(row["kind"])
        values["outputs"] = json.loads(row["outputs"] or "{}")
        values["details"] = json.loads(row["details"])
        return cls(**values)


def new_id(prefix: str = "c") -> str:
    """Give an id of a vendor's look: StemSplit's jobs are `c` and 24 letters and digits."""
    return prefix + "".join(secrets.choice(_ALPHABET) for _ in range(24))


@dataclass(frozen=True, slots=True)
class Page:
    """Which jobs of an account are asked for; newest first is the vendor's order."""

    limit: int = 20
    offset: int = 0
    status: Status | None = None
    kinds: tuple[Kind, ...] = (Kind.STEM,)
    is_oldest_first: bool = False
