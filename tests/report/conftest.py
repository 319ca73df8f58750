"""Runs for reports: a real ledger and a real dataset folder, with tracks brought to their states by the verbs."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from stemline.budget import Limits
from stemline.ledger import Ledger, open_ledger
from stemline.records import (
    Attempt,
    Code,
    CollectedTrack,
    Failure,
    Job,
    Phase,
    Recipe,
    Reject,
    State,
    StemFile,
    Submission,
    Track,
)
from stemline.storage import Store, open_store

RECIPE = Recipe("four", "best", "flac")


class Night:
    """One run over a catalogue: `publish`, `fail` and so on each bring one new track to that state."""

    def __init__(self, ledger: Ledger, store: Store) -> None:
        self.now = datetime(2026, 3, 31, 21, 40, tzinfo=UTC)
        ledger.database.clock = lambda: self.now
        self.ledger, self.store = ledger, store
        self.run_id = ledger.runs.start("nightly", "stemsplit", RECIPE, "digest", "key-1")
        self.planned = 0
        self.collected: list[str] = []

    def advance(self, **parts: float) -> None:
        self.now += timedelta(**parts)

    def plan(self, track_id: str | None = None, location: str = "", **columns: object) -> Track:
        self.planned += 1
        name = track_id or f"t{self.planned:04d}"
        track = Track(name, location or f"/music/{name}.mp3", self.planned, 0, 180.0, columns=columns)
        self.ledger.tracks.plan(self.run_id, [track])
        return track

    def submit(self, track: Track) -> Attempt:
        token = f"token-{track.track_id}"
        attempt = self.ledger.attempts.reserve(self.run_id, track, token, 180, Limits())
        assert isinstance(attempt, Attempt)
        self.ledger.attempts.mark_sending(token)
        return attempt

    def ready(self, track: Track) -> Attempt:
        attempt = self.submit(track)
        job = f"job-{track.track_id}"
        self.ledger.attempts.record_submission(attempt.token, Submission(job, 180))
        self.ledger.attempts.record_ready(attempt.token, Job(job, Phase.DONE, credits_charged=180))
        return attempt

    def collect(
        self, track: Track, bpm: float | None = 120.0, key: str | None = "Am", **facts: object
    ) -> None:
        attempt = self.ready(track)
        stems = facts.get("stems") or tuple(
            stem_file(stem, f"audio/ab/{track.track_id}/stemsplit-four-best-flac/{stem}.flac")
            for stem in RECIPE.stem_names
        )
        bpm_source, key_source = bpm and "provider", key and "stemline"
        self.ledger.attempts.record_collected(
            CollectedTrack(attempt.token, stems, bpm, key, bpm_source, key_source, self.now)
        )
        self.collected.append(attempt.token)

    def publish(self, track: Track | None = None, *music: object, **facts: object) -> None:
        """Publish what is collected, this track with it."""
        if track is not None:
            self.collect(track, *music, **facts)
        self.ledger.batches.open(self.run_id, f"batch-{self.collected[0]}", self.collected)
        self.ledger.batches.publish(f"batch-{self.collected[0]}")
        self.collected = []

    def fail(self, track: Track, sentence: str = "The provider gave up.") -> None:
        attempt = self.submit(track)
        self.ledger.attempts.fail(Failure(attempt.token, State.FAILED, Code.JOB_FAILED, sentence))

    def quarantine(self, track: Track, sentence: str = "drums.flac is 3 s long, its source 180 s.") -> None:
        attempt = self.ready(track)
        self.ledger.attempts.fail(Failure(attempt.token, State.QUARANTINED, Code.WRONG_DURATION, sentence))

    def reject(self, rows: int = 1, sentence: str = "The row names no audio.") -> None:
        made = [Reject(90_000 + row, None, None, Code.NO_LOCATION, sentence) for row in range(rows)]
        self.ledger.runs.reject(self.run_id, made)

    def finish(self, exit_code: int = 0, **totals: object) -> None:
        counts, spent = self.ledger.queries.counts(self.run_id), self.ledger.credits.spending(self.run_id).run
        summary = {
            "run_id": self.run_id,
            "tracks": {str(state): count for state, count in counts.items()},
            "codes": {str(code): count for code, count in self.ledger.queries.codes(self.run_id).items()},
            "credits": {"reserved": spent.reserved, "charged": spent.charged, "balance": 5_000},
            "requests": {"sent": 21, "rejected": 1, "per_track": 2.1},
            "seconds": 90.5,
            "dataset": self.store.url(),
            "report": self.store.url(f"_stemline/runs/{self.run_id}.html"),
        }
        self.ledger.runs.finish(self.run_id, exit_code, summary | totals)


def stem_file(stem: str, path: str, **changes: object) -> StemFile:
    """A stem's record; nothing looks at the file."""
    facts = {
        "format": "flac",
        "sample_rate": 44_100,
        "channels": 2,
        "frames": 7_938_000,
        "duration_seconds": 180.0,
        "size_bytes": 1_234,
        "sha256": "ab" * 32,
        "peak_dbfs": -1.0,
        "rms_dbfs": -18.0,
        "verification": "ok",
    }
    return StemFile(stem=stem, path=path, **{**facts, **changes})


@pytest.fixture
def stem() -> Callable[..., StemFile]:
    return stem_file


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return open_store(str(tmp_path / "dataset"))


@pytest.fixture
def night(tmp_path: Path, store: Store) -> Iterator[Night]:
    with open_ledger(f"sqlite:///{tmp_path}/ledger.db") as ledger:
        yield Night(ledger, store)
