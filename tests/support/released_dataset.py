"""A dataset by nights, without audio behind it, and the releases made of it."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from stemline.activity import SecondOffsets, StemActivity
from stemline.dataset.layout import DatasetLayout
from stemline.dataset.parts import DatasetBatch, write_parts
from stemline.dataset.paths import staged_path, stem_path
from stemline.dataset.table_row import PublishedRow
from stemline.records import Attempt, CollectedTrack, Job, Phase, Recipe, StemFile, Track
from stemline.release.record import Release
from stemline.run.releasing import release_dataset
from stemline.settings import Settings
from stemline.storage import Store, open_store

ACTIVITY = StemActivity((-20.5, -120.0, -3.1), SecondOffsets((86, 9_000, 10_100), (0, 40_960, 86_016), 86))
RECIPE = Recipe("both", "best", "flac")
CARRIED = pa.schema([("genre", pa.string()), ("plays", pa.int64()), ("tags", pa.list_(pa.string()))])


@dataclass
class ReleasedDataset:
    """A dataset and what it is configured by."""

    url: str
    storage_options: dict[str, Any] = field(default_factory=dict)
    partition_by: tuple[str, ...] = ("provider", "collected_on")
    carried: pa.Schema = CARRIED
    audio: str = "objects"
    nights: int = 0

    @property
    def settings(self) -> Settings:
        return Settings.model_validate(
            {
                "name": "songs",
                "catalogue": {"manifest": "songs.csv"},
                "provider": {"kind": "local", "api_key": "sk_secret"},
                "recipe": {"stems": "both"},
                "dataset": {
                    "url": self.url,
                    "storage_options": self.storage_options,
                    "partition_by": self.partition_by,
                    "audio": self.audio,
                },
            }
        )

    @property
    def store(self) -> Store:
        return open_store(self.url, self.storage_options)

    @property
    def layout(self) -> DatasetLayout:
        return DatasetLayout(self.partition_by, self.carried, self.audio)

    def publish(self, *track_ids: str, store: Store | None = None, **columns: Any) -> None:
        self.nights += 1
        day = columns.pop("day", self.nights)
        where = stem_path if self.audio == "objects" else staged_path
        rows = [_row(track_id, day, dict(columns), where) for track_id in track_ids]
        for stem in (stem for row in rows for stem in row.collected.stems if self.audio == "embedded"):
            self.store.put_bytes(stem.path, stem.path.encode())
        batch = DatasetBatch(f"{self.nights:020x}", f"run-{self.nights}", rows)
        write_parts(store or self.store, batch, self.layout)

    def release(self, name: str) -> Release:
        return release_dataset(self.settings, name)

    def rows(self, name: str, table: str = "tracks") -> list[dict[str, Any]]:
        """Give the rows of a release's table, part by part."""
        keys = sorted(self.store.list(f"releases/{name}/{table}"))
        return [row for key in keys for row in self.part(key).to_pylist()]

    def part(self, key: str) -> pa.Table:
        return pq.read_table(pa.BufferReader(self.store.read_bytes(key)))

    def record(self, name: str) -> dict[str, Any]:
        return json.loads(self.store.read_bytes(f"releases/{name}/release.json"))


def _row(track_id: str, day: int, columns: dict[str, Any], where: Callable[..., str]) -> PublishedRow:
    words, names = columns.pop("words", "ok"), columns.pop("stem_names", RECIPE.stem_names)
    given = {"genre": "soul", "plays": 7, "tags": ["a"], "artist": "Nina", "license": "CC-BY-4.0", **columns}
    track = Track(track_id, f"music/{track_id}.flac", 1, duration_seconds=2.5, columns=given)
    attempt = Attempt(f"token-{track_id}", track, RECIPE, "local", 1, 3, job_id="job")
    stems = tuple(
        StemFile(
            stem,
            where(attempt, stem, "flac"),
            "flac",
            44100,
            2,
            110250,
            2.5,
            1000,
            "cd" * 32,
            -1.5,
            -12.25,
            "silent" if stem == "vocals" else words,
            activity=ACTIVITY.pack(),
        )
        for stem in names
    )
    found = CollectedTrack(
        attempt.token, stems, 120.5, "Am", "provider", None, datetime(2026, 11, day, tzinfo=UTC)
    )
    return PublishedRow(attempt, Job("job", Phase.DONE, credits_charged=3), found)
