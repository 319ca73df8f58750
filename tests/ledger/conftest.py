"""Ledgers for tests: a SQLite file, and a database on a real PostgreSQL server of the whole session."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from support.postgresql import new_schema

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
        return self.ledger.runs.start("nightly", self.provider, self.recipe, "digest", "key-1")

    def track(self, number: int = 1, **changes: object) -> Track:
        cells = {"track_id": f"t{number}", "location": f"/music/{number}.mp3", "position": number}
        return Track(**{"duration_seconds": 10.0, **cells, **changes})

    def plan(self, *numbers: int) -> None:
        self.ledger.tracks.plan(self.run_id, [self.track(number) for number in numbers])

    def submitting(self, number: int = 1, amount: int = 10) -> Attempt:
        self.plan(number)
        token = f"a{number}"
        attempt = self.ledger.attempts.reserve(self.run_id, self.track(number), token, amount, Limits())
        assert isinstance(attempt, Attempt)
        return attempt

    def sent(self, number: int = 1) -> Attempt:
        return self.ledger.attempts.mark_sending(self.submitting(number).token)

    def processing(self, number: int = 1) -> Attempt:
        return self.ledger.attempts.record_submission(self.sent(number).token, Submission(f"j{number}", 10))

    def job(self, number: int = 1, **facts: object) -> Job:
        return Job(**{"job_id": f"j{number}", "phase": Phase.DONE, "credits_charged": 10, **facts})

    def ready(self, number: int = 1) -> Attempt:
        attempt = self.processing(number)
        self.ledger.attempts.record_ready(attempt.token, self.job(number, bpm=120.5, key="Am"))
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
        self.ledger.attempts.record_collected(self.stems(number))
        return attempt

    def published(self, number: int = 1) -> Attempt:
        attempt = self.collected(number)
        self.ledger.batches.open(self.run_id, f"b{number}", [attempt.token])
        self.ledger.batches.publish(f"b{number}")
        return attempt

    def state(self, number: int = 1) -> str:
        track_id = f"t{number}"
        return self.ledger.tracks.status(self.run_id, [track_id])[track_id].state

    def spent(self) -> tuple[int, int]:
        spent = self.ledger.credits.spending(self.run_id).run
        return spent.reserved, spent.charged


@pytest.fixture
def postgresql_url(postgresql: str) -> str:
    return new_schema(postgresql)


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
