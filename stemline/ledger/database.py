"""The connection to the ledger's database: transactions, and database errors as sentences.

A writer holds the whole ledger for the length of its transaction (`BEGIN IMMEDIATE` on SQLite, one advisory
lock on PostgreSQL), so what it reads is still true when it commits, over all threads and processes. On PostgreSQL that
needs statements which see what was committed before them, so the isolation is set and not left to the server.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from sqlalchemy import URL, Connection, Engine, create_engine, event, func, make_url, select
from sqlalchemy.engine.interfaces import DBAPIConnection
from sqlalchemy.exc import ArgumentError, DBAPIError, IntegrityError, OperationalError

from stemline.clock import Clock, utc_now
from stemline.errors import ConfigError, LedgerAway, LedgerConflict, StemlineError, StorageError
from stemline.ledger.tables import UtcDateTime
from stemline.library_words import in_our_words
from stemline.settings.default_ledger import sqlite_file
from stemline.writable_folder import require_writable_folder

BUSY_SECONDS = 30
BECOME_WRITER = f"""
SELECT set_config('lock_timeout', '{BUSY_SECONDS}s', true),
  CASE current_setting('synchronous_commit') WHEN 'off' THEN set_config('synchronous_commit', 'on', true) END,
  pg_advisory_xact_lock(7364656221)
"""
"""PostgreSQL's one writer at a time: the number is any constant, the lock is the database's own."""
CONFLICTS = (
    (
        ("attempts_one_live", "attempts_one_replacing", "attempts.track_id"),
        "This track already has a live attempt.",
    ),
    (("attempts_one_per_job", "attempts.job_id"), "This job already belongs to another attempt."),
    (("attempts_pkey", "attempts.token"), "This token is already in use."),
    (("credit_entries_once", "credit_entries.token"), "This attempt's credits were already booked."),
)


@dataclass(frozen=True, slots=True)
class Destination:
    """The dataset that what is collected goes into."""

    dataset_id: str
    has_unnamed: bool
    """Whether what was collected before datasets had names lies there as well."""


@dataclass
class _Transaction:
    """How far a transaction is."""

    is_committing: bool = False


class LedgerDatabase:
    """A database with one writer at a time, and the clock that its rows are dated by."""

    def __init__(self, url: str, *, clock: Clock = utc_now, is_view: bool = False) -> None:
        """Prepare to connect, `is_view` to read alone; raises ConfigError for a URL of another kind of database."""
        self.url = _parse(url)
        self.clock = clock
        self._is_given_clock = clock is not utc_now
        self.destination: Destination | None = None
        """Where what is booked as collected lies; None where no run was opened, as for a look at it."""
        self.name = self.url.render_as_string(hide_password=True)
        self._writer = threading.Lock()
        engine = _sqlite_engine if self.is_sqlite else _postgresql_engine
        self._engine = engine(self.url, is_view=is_view)

    @property
    def is_sqlite(self) -> bool:
        """Whether the ledger is a SQLite file."""
        return self.url.get_backend_name() == "sqlite"

    @contextmanager
    def read(self) -> Iterator[Connection]:
        """Give a connection whose reads all see one state of the ledger."""
        with self._translated(_Transaction()), self._engine.connect() as connection:
            if not self.is_sqlite:  # SQLite reads one snapshot anyway
                connection.execution_options(isolation_level="REPEATABLE READ")
            with connection.begin():
                yield connection

    @contextmanager
    def write(self) -> Iterator[Connection]:
        """Give a connection that is the only writer; everything commits at the end or nothing does."""
        transaction = _Transaction()
        with self._writer, self._translated(transaction), self._engine.connect() as connection:
            connection.execution_options(stemline_begin="BEGIN IMMEDIATE")
            with connection.begin():
                if not self.is_sqlite:
                    connection.exec_driver_sql(BECOME_WRITER)
                yield connection
                transaction.is_committing = True

    def shared_now(self, connection: Connection) -> datetime:
        """Give the instant by a clock that all who use this ledger share: the database's own.

        The clocks of two hosts differ; a SQLite file is used by one host. A clock that was given is the only one.
        """
        if self.is_sqlite or self._is_given_clock:
            return self.clock()
        return connection.execute(select(func.clock_timestamp(type_=UtcDateTime()))).scalar_one()

    def vacuum(self) -> bool:
        """Have the database's files hold nothing of what was deleted or overwritten; tell whether all of it is gone.

        PostgreSQL's write-ahead log, and copies of either, are out of its reach.
        """
        with self._writer, self._translated(_Transaction()), self._engine.connect() as connection:
            # Outside of a transaction, in which neither of the two takes it.
            connection.execution_options(isolation_level="AUTOCOMMIT", stemline_begin="SELECT 1")
            if not self.is_sqlite:
                connection.exec_driver_sql("VACUUM")
                return True
            connection.exec_driver_sql("VACUUM")
            # The log keeps pages as they were until it is cut off: https://sqlite.org/pragma.html#pragma_wal_checkpoint
            found = connection.exec_driver_sql("PRAGMA wal_checkpoint(TRUNCATE)").one()
            return int(found[0]) == 0

    def close(self) -> None:
        """Close every connection."""
        self._engine.dispose()

    @contextmanager
    def _translated(self, transaction: _Transaction) -> Iterator[None]:
        try:
            yield
        except IntegrityError as error:
            raise _conflict(error) from error
        except DBAPIError as error:
            raise self._storage_error(error, transaction) from error

    def _storage_error(self, error: DBAPIError, transaction: _Transaction) -> StemlineError:
        reason = str(error.orig).strip().splitlines()[0] if error.orig else str(error)
        message = f"The ledger {self.name} cannot be used: {in_our_words(reason)}."
        usual = (StorageError, "Check that ledger.url is right and that its database is up and writable.")
        kind, fix = next(((kind, fix) for word, kind, fix in FAULTS if word in reason), usual)
        is_locked = _is_locked(error)
        if kind is StorageError and (is_locked or _is_away(error)):
            return LedgerAway(message, fix=fix, is_in_doubt=transaction.is_committing, is_locked=is_locked)
        return kind(message, fix=fix)


FAULTS: tuple[tuple[str, type[StemlineError], str], ...] = (
    ("not a database", ConfigError, "Point ledger.url at a new file, or at one that stemline made."),
    ("unable to open", StorageError, "Check that its folder exists and may be written."),
    ("readonly", StorageError, "Make the file and its folder writable."),
    ("is full", StorageError, "Free some disk space and run again: nothing that was committed is lost."),
    ("lock timeout", StorageError, "Another run holds the ledger: see which, and run again."),
    ("locked", StorageError, "Another program holds the file: close it and run again."),
    ("password", ConfigError, "Check the user and password in ledger.url."),
    ("does not exist", ConfigError, "Create the database first, or correct ledger.url."),
    ("refused", StorageError, "Start the database server, or correct host and port in ledger.url."),
)


LOCKED = frozenset({"40001", "40P01", "55P03"})
"""PostgreSQL's names for a transaction that met another: https://www.postgresql.org/docs/current/errcodes-appendix.html"""
AWAY = frozenset({"25006", "53300", "57P01", "57P02", "57P03"})
"""And for a server that restarts, that another one takes over from, or that has no connection left."""


def _is_locked(error: DBAPIError) -> bool:
    """Tell whether somebody else is at the ledger."""
    name = str(getattr(error.orig, "sqlite_errorname", ""))
    return name.startswith(("SQLITE_BUSY", "SQLITE_LOCKED")) or getattr(error.orig, "sqlstate", "") in LOCKED


def _is_away(error: DBAPIError) -> bool:
    """Tell whether the database server is not there, for a moment or for longer."""
    if error.connection_invalidated:
        return True
    if not isinstance(error, OperationalError) or not hasattr(error.orig, "sqlstate"):
        return False
    state: str | None = getattr(error.orig, "sqlstate", None)
    return state is None or state in AWAY or state.startswith("08")


def _parse(url: str) -> URL:
    fix = "Write sqlite:///folder/name.db or postgresql+psycopg://user:password@host/database."
    try:
        parsed = make_url(url)
    except (ArgumentError, ValueError):  # ValueError: a port that is no number
        raise ConfigError("ledger.url is not a database URL.", fix=fix) from None
    if parsed.drivername == "postgresql":
        parsed = parsed.set(drivername="postgresql+psycopg")
    if parsed.drivername not in {"sqlite", "sqlite+pysqlite", "postgresql+psycopg"}:
        raise ConfigError(f"ledger.url names {parsed.drivername}, which stemline does not know.", fix=fix)
    if parsed.get_backend_name() == "sqlite" and (parsed.host or parsed.username):
        raise ConfigError("ledger.url names a host, and SQLite has none.", fix=fix)
    if parsed.get_backend_name() == "sqlite" and parsed.database in {None, "", ":memory:"}:
        raise ConfigError("ledger.url names no file: a ledger in memory would forget what was paid.", fix=fix)
    file = sqlite_file(url)
    return parsed if file is None else parsed.set(database=str(file))


def check_ledger_url(url: str) -> None:
    """Raise ConfigError for a URL that no ledger can be at."""
    _parse(url)


def check_ledger_place(file: Path, *, is_made: bool = False) -> None:
    """Raise StorageError where a ledger's file is not there and cannot be; with `is_made` its folder is there then."""
    folder, verb = file.parent, "written" if file.parent.exists() else "made"
    try:
        if not file.exists():
            require_writable_folder(folder)
        if is_made:
            folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        message = f"The ledger's folder {folder} cannot be {verb}: {error.strerror}."
        raise StorageError(message, fix="Choose a writable place in ledger.url.") from error


def _sqlite_engine(url: URL, *, is_view: bool) -> Engine:
    check_ledger_place(Path(url.database or ""), is_made=True)
    engine = create_engine(url, connect_args={"timeout": BUSY_SECONDS, "isolation_level": None})

    @event.listens_for(engine, "connect")
    def _prepare(connection: DBAPIConnection, _record: object) -> None:
        cursor = connection.cursor()
        for pragma in (
            f"busy_timeout={BUSY_SECONDS * 1000}",
            "query_only=ON" if is_view else "journal_mode=WAL",
            "synchronous=FULL",  # a committed intent must survive power loss: it is money
            "foreign_keys=ON",
        ):
            cursor.execute(f"PRAGMA {pragma}")

    @event.listens_for(engine, "begin")
    def _begin(connection: Connection) -> None:
        connection.exec_driver_sql(connection.get_execution_options().get("stemline_begin", "BEGIN"))

    return engine


def _postgresql_engine(url: URL, *, is_view: bool) -> Engine:
    engine = create_engine(
        url, isolation_level="READ COMMITTED", connect_args={"connect_timeout": 10}, pool_pre_ping=True
    )
    return engine.execution_options(postgresql_readonly=True) if is_view else engine


def _conflict(error: IntegrityError) -> LedgerConflict:
    reason = str(error.orig)
    for names, sentence in CONFLICTS:
        if any(name in reason for name in names):
            return LedgerConflict(sentence)
    return LedgerConflict(f"The ledger refused a row: {reason.splitlines()[0]}.")
