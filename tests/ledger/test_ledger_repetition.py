"""A database that fails a verb for a moment: the verb is repeated, and what it books is booked once."""

from __future__ import annotations

import inspect
import sqlite3
import subprocess
import sys
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta

import psycopg
import pytest
from sqlalchemy import event
from sqlalchemy.exc import OperationalError

from stemline.errors import LedgerAway
from stemline.ledger import open_ledger
from stemline.records import Code, Recipe, Reject, State

RECIPE = Recipe("four", "best", "flac")
HOLDER = """
import sqlite3, sys, time
held = sqlite3.connect(sys.argv[1], isolation_level=None)
held.execute("BEGIN IMMEDIATE")
print("held", flush=True)
time.sleep(float(sys.argv[2]))
held.execute("COMMIT")
"""


@contextmanager
def listening(ledger, name, listener):
    event.listen(ledger.database._engine, name, listener)
    try:
        yield
    finally:
        event.remove(ledger.database._engine, name, listener)


def whole_life(case) -> None:
    """Take three tracks through most verbs."""
    case.published(1)
    case.ready(2)
    case.submitting(3)
    case.ledger.attempts.release("a3", Code.REFUSED, "No.", state=State.FAILED, is_retryable=True)
    case.ledger.runs.reject(case.run_id, [Reject(9, None, None, Code.NO_LOCATION, "None.")])
    fence = case.ledger.leases.acquire("key-1", "a", 60)
    case.ledger.leases.renew("key-1", fence, 60)
    case.ledger.leases.release("key-1", fence)
    case.ledger.runs.finish(case.run_id, 3, {})


def assert_booked_once(case) -> None:
    """Compare with what the three come to where nothing fails."""
    expected = {State.PUBLISHED: 1, State.READY: 1, State.FAILED: 1, State.REJECTED: 1}
    assert case.ledger.queries.counts(case.run_id) == expected
    assert case.spent() == (0, 20)
    with case.ledger.database.read() as connection:
        charges = connection.exec_driver_sql("SELECT amount FROM credit_entries WHERE kind = 'charge'")
        assert charges.scalars().all() == [10, 10]


@pytest.mark.parametrize("url", ["postgresql"], indirect=True)
@pytest.mark.long
def test_a_backend_that_is_terminated_in_the_middle_of_verbs_ends_no_run(case, postgresql) -> None:
    statements, killed = [0], []

    def terminate(connection, *_) -> None:
        statements[0] += 1
        if statements[0] % 19 == 0:
            pid = connection.connection.dbapi_connection.info.backend_pid
            with psycopg.connect(
                host=postgresql, user="stemline", dbname="postgres", autocommit=True
            ) as other:
                other.execute("SELECT pg_terminate_backend(%s, 5000)", [pid])
            killed.append(pid)

    with listening(case.ledger, "before_cursor_execute", terminate):
        whole_life(case)
    assert_booked_once(case)
    assert len(killed) > 5


@pytest.mark.long
def test_a_commit_whose_answer_is_lost_is_said_again_and_booked_once(case) -> None:
    """Every other commit that writes is lost; `plan` alone is not repeated then: nothing is paid yet."""
    commits: list[bool] = []

    def lose(connection) -> None:
        caller = {frame.function for frame in inspect.stack()}
        if "plan" in caller or "write" not in caller:
            return
        connection.connection.dbapi_connection.commit()
        commits.append(True)
        if len(commits) % 2:
            reason = psycopg.OperationalError("server closed the connection unexpectedly")
            raise OperationalError("COMMIT", {}, reason, connection_invalidated=True)

    with listening(case.ledger, "commit", lose):
        whole_life(case)
    assert_booked_once(case)
    assert len(commits) > 20


def test_a_verb_that_must_be_said_once_is_not_repeated_when_its_commit_is_in_doubt(case) -> None:
    def lose(connection) -> None:
        connection.connection.dbapi_connection.commit()
        reason = psycopg.OperationalError("server closed the connection unexpectedly")
        raise OperationalError("COMMIT", {}, reason, connection_invalidated=True)

    with listening(case.ledger, "commit", lose), pytest.raises(LedgerAway) as caught:
        case.plan(1)
    assert caught.value.is_in_doubt


@pytest.mark.long
def test_a_file_that_another_process_locks_for_seconds_ends_no_run(sqlite_url, monkeypatch) -> None:
    monkeypatch.setattr("stemline.ledger.database.BUSY_SECONDS", 0.05)
    with open_ledger(sqlite_url) as ledger:
        path = sqlite_url.removeprefix("sqlite:///")
        command = [sys.executable, "-c", HOLDER, path, "2"]
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as holder:
            assert holder.stdout.readline() == "held\n"
            with pytest.raises(sqlite3.OperationalError), sqlite3.connect(path, timeout=0) as other:
                other.execute("BEGIN IMMEDIATE")
            assert ledger.runs.start("nightly", "local", RECIPE, "d")


def test_every_verb_of_every_part_is_repeated(ledger) -> None:
    parts = [part for name, part in vars(ledger).items() if name != "database"]
    bare = [
        f"{type(part).__name__}.{name}"
        for part in parts
        for name, verb in vars(type(part)).items()
        if inspect.isfunction(verb) and not name.startswith("_")
        if not (hasattr(verb, "__wrapped__") or inspect.isgeneratorfunction(verb))
    ]
    assert bare == []


def test_the_isolation_is_set_whatever_the_server_has_for_a_default(postgresql_url) -> None:
    with open_ledger(f"{postgresql_url}%20-cdefault_transaction_isolation%3Dserializable") as ledger:
        with ledger.database.write() as connection:
            assert connection.exec_driver_sql("SHOW transaction_isolation").scalar_one() == "read committed"
        with ledger.database.read() as connection:
            assert connection.exec_driver_sql("SHOW transaction_isolation").scalar_one() == "repeatable read"


@pytest.mark.parametrize("hours", [-2, 2])
def test_a_host_whose_clock_is_wrong_takes_no_key_too_early(postgresql_url, hours) -> None:
    with open_ledger(postgresql_url) as right, open_ledger(postgresql_url) as wrong:
        wrong.database.clock = lambda: datetime.now(UTC) + timedelta(hours=hours)
        right.leases.acquire("key-1", "a", 60)
        assert [lease.key_id for lease in wrong.leases.held()] == ["key-1"]
        wrong.leases.acquire("key-2", "b", 60)
        assert abs(right.leases.get("key-2").expires_at - datetime.now(UTC)) < timedelta(minutes=2)
