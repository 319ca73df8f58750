"""Ledgers for tests: a SQLite file, and a database on a real PostgreSQL server started for the session."""

from __future__ import annotations

import os
import secrets
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import psycopg
import pytest

from stemline.budget import Limits
from stemline.ledger import Ledger, open_ledger
from stemline.records import (
    Attempt,
    CollectedTrack,
    Job,
    Phase,
    Recipe,
    StemFile,
    Submission,
    Track,
)


class Clock:
    """A clock that a test sets."""

    def __init__(self) -> None:
        self.now = datetime(2026, 3, 31, 12, tzinfo=UTC)

    def __call__(self) -> datetime:
        return self.now

    def advance(self, **parts: float) -> None:
        self.now += timedelta(**parts)


class Case:
    """A ledger with one run, and short ways to bring track N (token `aN`, job `jN`) to a state."""

    provider = "stemsplit"
    recipe = Recipe("four", "best", "flac")

    def __init__(self, ledger: Ledger, clock: Clock) -> None:
        self.ledger = ledger
        self.clock = clock
        self.run_id = self.start()

    def start(self) -> str:
        return self.ledger.start_run("nightly", self.provider, self.recipe, "digest", "key-1")

    def track(self, number: int = 1, **changes: object) -> Track:
        cells = {"track_id": f"t{number}", "location": f"/music/{number}.mp3", "position": number}
        return Track(**{"duration_seconds": 10.0, **cells, **changes})

    def plan(self, *numbers: int) -> None:
        self.ledger.plan(self.run_id, [self.track(number) for number in numbers])

    def submitting(self, number: int = 1, amount: int = 10) -> Attempt:
        self.plan(number)
        token = f"a{number}"
        attempt = self.ledger.reserve(self.run_id, self.track(number), token, amount, Limits())
        assert isinstance(attempt, Attempt)
        return attempt

    def sent(self, number: int = 1) -> Attempt:
        return self.ledger.mark_sending(self.submitting(number).token)

    def processing(self, number: int = 1) -> Attempt:
        return self.ledger.record_submission(self.sent(number).token, Submission(f"j{number}", 10))

    def job(self, number: int = 1, **facts: object) -> Job:
        return Job(**{"job_id": f"j{number}", "phase": Phase.DONE, "credits_charged": 10, **facts})

    def ready(self, number: int = 1) -> Attempt:
        attempt = self.processing(number)
        self.ledger.record_ready(attempt.token, self.job(number, bpm=120.5, key="Am"))
        return attempt

    def stems(self, number: int = 1) -> CollectedTrack:
        stem = StemFile(
            stem="vocals",
            path=f"audio/{number}/vocals.flac",
            format="flac",
            sample_rate=44_100,
            channels=2,
            frames=441_000,
            duration_seconds=10.0,
            size_bytes=123,
            sha256="ab" * 32,
            peak_dbfs=-1.5,
            rms_dbfs=None,
            verification="ok",
        )
        return CollectedTrack(f"a{number}", (stem,), 120.5, "Am", "provider", None, self.clock())

    def collected(self, number: int = 1) -> Attempt:
        attempt = self.ready(number)
        self.ledger.record_collected(self.stems(number))
        return attempt

    def published(self, number: int = 1) -> Attempt:
        attempt = self.collected(number)
        self.ledger.open_batch(self.run_id, f"b{number}", [attempt.token])
        self.ledger.publish_batch(f"b{number}")
        return attempt

    def state(self, number: int = 1) -> str:
        track_id = f"t{number}"
        return self.ledger.track_status(self.run_id, [track_id])[track_id].state

    def spent(self) -> tuple[int, int]:
        spent = self.ledger.credits(self.run_id).run
        return spent.reserved, spent.charged


def _find_server_binaries() -> Path | None:
    homes = [Path(found).parent for found in [shutil.which("pg_ctl")] if found]
    homes += sorted(Path("/usr/lib/postgresql").glob("*/bin"), reverse=True)
    return next((home for home in homes if (home / "initdb").exists()), None)


def _as_server_user(command: list[str], home: Path) -> None:
    """Run a server command; PostgreSQL refuses root, so root hands over to the `postgres` user."""
    user = {"user": "postgres", "group": "postgres", "extra_groups": []} if os.getuid() == 0 else {}
    log = home / "command.log"
    with log.open("ab") as output:
        done = subprocess.run(
            command, cwd=home, stdout=output, stderr=output, check=False, timeout=60, **user
        )
    assert done.returncode == 0, log.read_text()


@pytest.fixture(scope="session")
def postgresql() -> Iterator[str]:
    """The socket folder of a PostgreSQL server that lives as long as the session."""
    binaries = _find_server_binaries()
    if binaries is None:
        pytest.skip("no PostgreSQL server binaries (initdb, pg_ctl) on this machine")
    # A socket's path may be 107 bytes long at most: pytest's own folders can be longer.
    home = Path(tempfile.mkdtemp(prefix="pg-", dir="/tmp"))
    if os.getuid() == 0:
        shutil.chown(home, "postgres", "postgres")
    data = str(home / "data")
    _as_server_user([str(binaries / "initdb"), "-D", data, "-U", "stemline", "-A", "trust", "-N"], home)
    options = f"-c fsync=off -c listen_addresses='' -c unix_socket_directories='{home}' -c max_connections=60"
    control = [str(binaries / "pg_ctl"), "-D", data, "-w"]
    _as_server_user([*control, "-l", str(home / "server.log"), "-o", options, "start"], home)
    yield str(home)
    _as_server_user([*control, "-m", "immediate", "stop"], home)
    shutil.rmtree(home)


@pytest.fixture
def postgresql_url(postgresql: str) -> str:
    """A fresh, empty schema: a hundred times quicker to make than a database, and as good."""
    name = f"ledger_{secrets.token_hex(4)}"
    with psycopg.connect(host=postgresql, user="stemline", dbname="postgres", autocommit=True) as server:
        server.execute(f"CREATE SCHEMA {name}")
    return f"postgresql+psycopg://stemline@/postgres?host={postgresql}&options=-csearch_path%3D{name}"


@pytest.fixture
def sqlite_url(tmp_path: Path) -> str:
    return f"sqlite:///{tmp_path}/ledger.db"


@pytest.fixture(params=["sqlite", "postgresql"])
def url(request: pytest.FixtureRequest) -> str:
    """A fresh ledger URL, on each kind of database."""
    return request.getfixturevalue(f"{request.param}_url")


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def ledger(url: str, clock: Clock) -> Iterator[Ledger]:
    with open_ledger(url, clock=clock) as opened:
        yield opened


@pytest.fixture
def case(ledger: Ledger, clock: Clock) -> Case:
    return Case(ledger, clock)
