"""The service's database: one SQLite file that one server process owns."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from threading import Lock

from stemline.errors import UsageError

SCHEMA_VERSION = 2
# The exclusive lock, taken by the first write, lives as long as the connection: a second server on the same
# folder would run the same jobs again.
PREPARATION = """
PRAGMA locking_mode = EXCLUSIVE;
PRAGMA journal_mode = WAL;
PRAGMA synchronous = FULL;
PRAGMA foreign_keys = ON;
BEGIN IMMEDIATE;
COMMIT;
"""
SCHEMA = """
CREATE TABLE IF NOT EXISTS accounts (
    id              TEXT PRIMARY KEY,
    balance_seconds INTEGER NOT NULL CHECK (balance_seconds >= 0),
    updated_at      REAL NOT NULL
);
CREATE TABLE IF NOT EXISTS jobs (
    number           INTEGER PRIMARY KEY AUTOINCREMENT,
    id               TEXT NOT NULL UNIQUE,
    account          TEXT NOT NULL REFERENCES accounts (id),
    status           TEXT NOT NULL,
    created_at       REAL NOT NULL,
    started_at       REAL,
    completed_at     REAL,
    expires_at       REAL,
    file_name        TEXT NOT NULL,
    duration_seconds INTEGER NOT NULL,
    size_bytes       INTEGER NOT NULL,
    source           TEXT NOT NULL,
    stems            TEXT NOT NULL,
    quality          TEXT NOT NULL,
    format           TEXT NOT NULL,
    credits_required INTEGER NOT NULL,
    credits_charged  INTEGER NOT NULL DEFAULT 0,
    crashes          INTEGER NOT NULL DEFAULT 0,
    error            TEXT,
    bpm              REAL,
    key              TEXT,
    outputs          TEXT,
    kind             TEXT NOT NULL DEFAULT 'stem',
    details          TEXT NOT NULL DEFAULT '{}'
);
CREATE INDEX IF NOT EXISTS jobs_of_account ON jobs (account, number);
CREATE INDEX IF NOT EXISTS jobs_by_status ON jobs (status, number);
CREATE TABLE IF NOT EXISTS repeats (
    account     TEXT NOT NULL REFERENCES accounts (id),
    key         TEXT NOT NULL,
    fingerprint TEXT NOT NULL,
    job         TEXT NOT NULL REFERENCES jobs (id),
    PRIMARY KEY (account, key)
);
CREATE TABLE IF NOT EXISTS hooks (
    id             TEXT PRIMARY KEY,
    account        TEXT NOT NULL REFERENCES accounts (id),
    url            TEXT NOT NULL,
    events         TEXT NOT NULL,
    secret         TEXT NOT NULL,
    created_at     REAL NOT NULL,
    is_active      INTEGER NOT NULL DEFAULT 1,
    fail_count     INTEGER NOT NULL DEFAULT 0,
    last_error     TEXT,
    last_called_at REAL
);
CREATE TABLE IF NOT EXISTS deliveries (
    number  INTEGER PRIMARY KEY AUTOINCREMENT,
    job     TEXT NOT NULL REFERENCES jobs (id),
    hook    TEXT REFERENCES hooks (id) ON DELETE CASCADE,
    event   TEXT NOT NULL,
    made_at REAL NOT NULL,
    due_at  REAL NOT NULL,
    tries   INTEGER NOT NULL DEFAULT 0
);
CREATE INDEX IF NOT EXISTS deliveries_due ON deliveries (due_at);
"""
MIGRATIONS = {
    1: """
ALTER TABLE jobs ADD COLUMN kind TEXT NOT NULL DEFAULT 'stem';
ALTER TABLE jobs ADD COLUMN details TEXT NOT NULL DEFAULT '{}';
""",
}
"""What brings a file from each earlier version to the next."""


class ServiceDatabase:
    """One connection, one transaction at a time, shared by threads; committed means on disk."""

    def __init__(self, path: Path) -> None:
        """Open the file and lock it.

        Raises:
            UsageError: another process holds it, or another version of stemline wrote it.
        """
        self._lock = Lock()
        self._connection = sqlite3.connect(path, isolation_level=None, check_same_thread=False, timeout=1.0)
        self._connection.row_factory = sqlite3.Row
        try:
            self._prepare(path)
        except BaseException:
            self._connection.close()
            raise

    def _prepare(self, path: Path) -> None:
        try:
            self._connection.executescript(PREPARATION)
        except sqlite3.OperationalError as error:
            fix = "Stop it, or choose another folder."
            raise UsageError(f"{path.parent} is in use by another service ({error}).", fix=fix) from error
        version = self._connection.execute("PRAGMA user_version").fetchone()[0]
        if version not in (0, *MIGRATIONS, SCHEMA_VERSION):
            fix = "Use that version, or choose another folder."
            raise UsageError(f"{path} was written by another version of stemline.", fix=fix)
        steps = "".join(MIGRATIONS[step] for step in range(version or SCHEMA_VERSION, SCHEMA_VERSION))
        self._connection.executescript(
            f"BEGIN; {steps} {SCHEMA} PRAGMA user_version = {SCHEMA_VERSION}; COMMIT;"
        )

    @contextmanager
    def transaction(self) -> Iterator[sqlite3.Connection]:
        """Give the connection inside a transaction: committed at the end, undone by an exception."""
        with self._lock:
            self._connection.execute("BEGIN IMMEDIATE")
            try:
                yield self._connection
            except BaseException:
                self._connection.execute("ROLLBACK")
                raise
            self._connection.execute("COMMIT")

    def close(self) -> None:
        """Close the file."""
        with self._lock:
            self._connection.close()
