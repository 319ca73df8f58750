"""How long jobs take and how many run at once when told so, the stand-in engine, and older folders."""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Callable
from contextlib import closing
from dataclasses import replace
from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
import soundfile
from local_service import WAIT_SECONDS, Client, Clock, storage, tone

from stemline.errors import UsageError
from stemline_local import ApiKey, Options
from stemline_local.backend import check_engine
from stemline_local.credits import Accounts, account_id
from stemline_local.database import SCHEMA, SCHEMA_VERSION, Database
from stemline_local.job import Page
from stemline_local.jobs import Jobs


def running(client: Client, count: int) -> None:
    """Wait until so many jobs run."""
    deadline = time.monotonic() + WAIT_SECONDS
    while client.get("jobs?status=PROCESSING").json()["pagination"]["total"] < count:
        assert time.monotonic() < deadline
        time.sleep(0.02)


def test_a_job_takes_its_length_times_the_speed(
    start: Callable[..., Client], clock: Clock, short: bytes
) -> None:
    client = start(engine="copy", speed=10.0)
    job_id = client.created(short)  # 2 credits: 20 seconds
    running(client, 1)
    clock.now += 10
    client.wait(job_id, "PROCESSING", at_least=50, at_most=50)
    clock.now += 9.9
    assert client.job(job_id)["status"] == "PROCESSING"
    clock.now += 0.2
    client.wait(job_id)


def test_so_many_jobs_run_at_once_over_fewer_workers(
    start: Callable[..., Client], clock: Clock, short: bytes
) -> None:
    client = start(engine="copy", speed=10.0, max_running=3, workers=1)
    key = client.uploaded(short)
    made = [client.post("jobs", json={"uploadKey": key}).json()["id"] for _ in range(4)]
    running(client, 3)
    assert client.job(made[3])["status"] == "PENDING"
    clock.now += 20.1
    for job_id in made[:3]:
        client.wait(job_id)
    running(client, 1)
    assert client.job(made[3])["status"] == "PROCESSING"


def test_the_stand_in_divides_the_source_among_the_stems(start: Callable[..., Client]) -> None:
    audio = tone(2.0)
    client = start(engine="copy")
    job = client.wait(client.created(audio, outputType="FOUR_STEMS", outputFormat="FLAC"))
    whole, _ = soundfile.read(BytesIO(audio))
    stems = [
        soundfile.read(BytesIO(storage.get(output["url"]).content))[0] for output in job["outputs"].values()
    ]

    assert job["audioMetadata"] == {"bpm": 120.0, "key": "C"}
    assert set(job["outputs"]) == {"vocals", "drums", "bass", "other"}
    assert np.allclose(sum(stems), whole, atol=4 / 2**15)


def test_an_engine_that_is_not_there_is_found_out_at_the_start(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="There is no engine 'magic'"):
        replace(Options(tmp_path), engine="magic").check()
    check_engine("copy")
    check_engine("auto")


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
        with closing(Database(tmp_path / "service.db")) as database:
            accounts = Accounts(database, [ApiKey("neutral")], 0.0)
            ((job,), total) = Jobs(database, time.time, 1.0).page(account, Page())
            assert (job.id, job.details, total) == ("c1", {}, 1)
            assert accounts.balance(accounts.find("neutral")).seconds == 70
    with closing(sqlite3.connect(tmp_path / "service.db")) as connection:
        assert connection.execute("PRAGMA user_version").fetchone() == (SCHEMA_VERSION,)
