"""The service's database file: older versions of it, two services on one, and what it never holds."""

from __future__ import annotations

import sqlite3
import time
from contextlib import closing
from pathlib import Path

import pytest
from service_state import ServiceState

from stemline.errors import UsageError
from stemline_local import ApiKey
from stemline_local.jobs.accounts import Accounts, account_id
from stemline_local.jobs.database import SCHEMA, SCHEMA_VERSION, ServiceDatabase
from stemline_local.jobs.job import JobPage
from stemline_local.jobs.job_store import JobStore


def test_a_key_is_not_kept_in_the_database(store: ServiceState) -> None:
    store.reopen()
    store.database.close()

    assert b"sk_live_first" not in (store.folder / "service.db").read_bytes()


def test_a_second_service_on_the_same_folder_is_refused(store: ServiceState) -> None:
    with pytest.raises(UsageError, match="in use by another service"):
        ServiceDatabase(store.folder / "service.db")


def test_a_folder_of_the_first_version_is_brought_to_this_one(tmp_path: Path) -> None:
    first = SCHEMA.partition("CREATE TABLE IF NOT EXISTS repeats")[0]
    for column in ("kind", "details"):
        first = "\n".join(line for line in first.splitlines() if not line.strip().startswith(column))
    first = first.replace("outputs          TEXT,", "outputs          TEXT")
    account = account_id("neutral")
    with closing(sqlite3.connect(tmp_path / "service.db")) as connection:
        connection.executescript(first)
        connection.execute("INSERT INTO accounts VALUES (?, 70, 0)", (account,))
        connection.execute(
            "INSERT INTO jobs (id, account, status, created_at, file_name, duration_seconds, size_bytes,"
            " source, stems, quality, format, credits_required)"
            " VALUES ('c1', ?, 'PENDING', 0, 'a.wav', 30, 1, 's', 'both', 'best', 'mp3', 30)",
            (account,),
        )
        connection.execute("PRAGMA user_version = 1")
        connection.commit()

    for _ in range(2):
        with closing(ServiceDatabase(tmp_path / "service.db")) as database:
            accounts = Accounts(database, [ApiKey("neutral")], 0.0)
            ((job,), total) = JobStore(database, time.time, 1.0).page(account, JobPage())
            assert (job.id, job.details, total) == ("c1", {}, 1)
            assert accounts.balance(accounts.find("neutral")).seconds == 70
    with closing(sqlite3.connect(tmp_path / "service.db")) as connection:
        assert connection.execute("PRAGMA user_version").fetchone() == (SCHEMA_VERSION,)
