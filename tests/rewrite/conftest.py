"""A dataset of many small parts without audio behind it, and a store that dies after so many writes."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from stemline.dataset.layout import DatasetLayout
from stemline.dataset.parts import DatasetBatch, write_parts
from stemline.dataset.paths import stem_path
from stemline.dataset.table_row import PublishedRow
from stemline.records import Attempt, CollectedTrack, Job, PartFile, Phase, Recipe, StemFile, Track
from stemline.rewrite.compaction import Compaction, CompactionCounts, list_partitions
from stemline.rewrite.rewrite import Rewriter
from stemline.rewrite.snapshot import live_parts
from stemline.storage import Store, open_store

RECIPE = Recipe("both", "best", "flac")
CARRIED = pa.schema([("genre", pa.string()), ("plays", pa.int64()), ("tags", pa.list_(pa.string()))])
NOW = datetime(2026, 11, 28, 12, tzinfo=UTC)


@dataclass
class Library:
    """A dataset by nights: what is in it, and how it is compacted."""

    store: Store
    layout: DatasetLayout
    tracks: dict[str, int] = field(default_factory=dict)
    """The plays of each."""
    batches: set[str] = field(default_factory=set)
    booked: list[tuple[str, int]] = field(default_factory=list)

    def publish(self, *track_ids: str, day: int = 1, **columns: Any) -> list[PartFile]:
        batch_id = f"{len(self.batches):020x}"
        rows = [_row(track_id, day, {"plays": len(self.tracks), **columns}) for track_id in track_ids]
        self.tracks |= dict.fromkeys(track_ids, columns.get("plays", len(self.tracks)))
        self.batches.add(batch_id)
        return write_parts(self.store, DatasetBatch(batch_id, "run-1", rows), self.layout)

    def rewriter(self, store: Store | None = None, known: dict[str, PartFile] | None = None) -> Rewriter:
        def book(plan, snapshot):
            self.booked.append((plan.rewrite_id, snapshot.number))
            self.batches |= {part.key.rpartition("-")[2].partition(".")[0] for part in snapshot.parts}

        return Rewriter(store or self.store, lambda: known or {}, book, lambda: None, lambda: NOW)

    def compact(self, store: Store | None = None) -> CompactionCounts:
        rewriter = self.rewriter(store)
        rewriter.recover()
        partitions, left = list_partitions(rewriter.store, live_parts(rewriter.store), self._known)
        assert left == 0
        return Compaction(rewriter, self.layout).run(partitions)

    def _known(self, batch_ids):
        return set(batch_ids) & self.batches

    def live(self, table: str = "tracks") -> list[tuple[Any, ...]]:
        """Give what a reader of the snapshot sees."""
        keys = [key for key in live_parts(self.store) if f"/{key}".find(f"/{table}/") >= 0]
        return self._read(keys, table)

    def globbed(self, table: str = "tracks") -> list[tuple[Any, ...]]:
        """Give what a reader sees who lists the folder."""
        return self._read(list(self.store.list(table)), table)

    def _read(self, keys, table):
        names = {"tracks": ["track_id", "plays"], "stems": ["track_id", "stem"]}[table]
        parts = [pa.BufferReader(self.store.read_bytes(key)) for key in keys]
        found = [pq.read_table(part, columns=names) for part in parts]
        return sorted(tuple(row.values()) for each in found for row in each.to_pylist())

    def expected(self, table: str = "tracks") -> list[tuple[Any, ...]]:
        if table == "tracks":
            return sorted(self.tracks.items())
        return sorted((track_id, stem) for track_id in self.tracks for stem in RECIPE.stem_names)


@pytest.fixture
def make_library(tmp_path):
    def make(name: str = "out", url: str | None = None, options=None, **layout: Any) -> Library:
        store = open_store(url or str(tmp_path / name), options)
        return Library(store, DatasetLayout(**{"carried": CARRIED, **layout}))

    return make


@pytest.fixture
def library(make_library):
    return make_library()


def _row(track_id: str, day: int, columns: dict[str, Any]) -> PublishedRow:
    given = {"genre": "soul", "tags": ["a", None, track_id], "released_on": date(1964, 3, 1), **columns}
    track = Track(track_id, f"/music/{track_id}.flac", 1, duration_seconds=2.5, columns=given)
    attempt = Attempt(f"token-{track_id}", track, RECIPE, "local", 1, 3, job_id=f"job-{track_id}")
    stems = tuple(
        StemFile(
            stem, stem_path(attempt, stem, "flac"), "flac", 44100, 2, 9, 2.5, 9, "cd" * 32, -1.5, None, "ok"
        )
        for stem in RECIPE.stem_names
    )
    at = datetime(2026, 11, day, 12, tzinfo=UTC)
    collected = CollectedTrack(attempt.token, stems, 120.5, "Am", "provider", "provider", at)
    return PublishedRow(attempt, Job(f"job-{track_id}", Phase.DONE, credits_charged=3), collected)
