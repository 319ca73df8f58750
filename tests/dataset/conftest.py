"""Collected tracks to publish, without any audio behind them."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from typing import Any

import pyarrow as pa
import pytest

from stemline.dataset.parts import DatasetBatch
from stemline.dataset.paths import stem_path
from stemline.dataset.table_row import PublishedRow
from stemline.records import Attempt, CollectedTrack, Job, Phase, Recipe, StemFile, Track

CARRIED = pa.schema(
    [
        ("artist", pa.string()),
        ("released_on", pa.date32()),
        ("genre", pa.string()),
        ("plays", pa.int64()),
        ("bpm", pa.float64()),
    ]
)


@dataclass
class Press:
    """Makes rows as a collector would leave them."""

    recipe: Recipe = field(default_factory=lambda: Recipe("both", "best", "flac"))
    provider: str = "local"
    collected_at: datetime = datetime(2026, 11, 21, 23, 30, tzinfo=UTC)

    def row(self, track_id: str, **columns: Any) -> PublishedRow:
        given = {"artist": "Nina", "released_on": date(1964, 3, 1), "genre": "soul", "plays": 7, "bpm": 99.0}
        track = Track(track_id, f"/music/{track_id}.flac", 1, duration_seconds=2.5, columns=given | columns)
        attempt = Attempt(
            f"token-{track_id}", track, self.recipe, self.provider, 1, 3, job_id=f"job-{track_id}"
        )
        job = Job(f"job-{track_id}", Phase.DONE, credits_charged=3, bpm=120.5, key="C# major")
        return PublishedRow(attempt, job, self.collected(attempt), source_sha256="ab" * 32)

    def collected(self, attempt: Attempt) -> CollectedTrack:
        stems = tuple(
            StemFile(
                stem=stem,
                path=stem_path(attempt, stem, self.recipe.format),
                format=self.recipe.format,
                sample_rate=44100,
                channels=2,
                frames=110250,
                duration_seconds=2.5,
                size_bytes=1000,
                sha256="cd" * 32,
                peak_dbfs=None if stem == "vocals" else -1.5,
                rms_dbfs=None if stem == "vocals" else -12.25,
                verification="silent" if stem == "vocals" else "ok",
                silent_share=1.0 if stem == "vocals" else 0.25,
                clipped_share=0.0,
                residual_db=-41.5,
                residual_of="source",
            )
            for stem in self.recipe.stem_names
        )
        return CollectedTrack(
            attempt.token, stems, 120.5, "C# major", "provider", "provider", self.collected_at
        )

    def batch(self, *track_ids: str, batch_id: str = "0001") -> DatasetBatch:
        return DatasetBatch(batch_id, "run-1", [self.row(track_id) for track_id in track_ids])


@pytest.fixture
def press():
    return Press()


@pytest.fixture
def carried():
    return CARRIED
