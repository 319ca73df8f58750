"""A ledger and a dataset over many nights, with collected tracks that nobody had to separate."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa

from stemline.activity import SecondOffsets, StemActivity
from stemline.budget import Limits
from stemline.dataset.layout import DatasetLayout
from stemline.ledger import KnownDataset, Ledger, open_ledger
from stemline.publisher import Publisher
from stemline.records import CollectedTrack, Job, Phase, Recipe, StemFile, Submission, Track
from stemline.run.correction import CorrectionQueue
from stemline.run.splitting import SplitKeeping
from stemline.settings.split_settings import SplitSettings
from stemline.splits.split_book import SplitBook, open_split_book
from stemline.storage import Store, open_store

RECIPE = Recipe("vocals", "best", "flac")
ACTIVITY = StemActivity((-20.5, -120.0, -3.1), SecondOffsets((86, 9_000, 10_100), (0, 40_960, 86_016), 86))
NOW = datetime(2026, 11, 21, tzinfo=UTC)


@dataclass
class Night:
    """One ledger and the dataset it publishes to."""

    folder: Path
    ledger: Ledger
    layout: DatasetLayout
    run_id: str
    splits: SplitSettings | None = None

    @property
    def book(self) -> SplitBook | None:
        """The splits as a run opens them."""
        return open_split_book(self.store, self.splits, self.run_id)

    @property
    def store(self) -> Store:
        return open_store(str(self.folder / "out"))

    @property
    def publisher(self) -> Publisher:
        return Publisher(self.ledger, self.store, self._layout, self.book)

    @property
    def queue(self) -> CorrectionQueue:
        keeping = SplitKeeping(self.book, self._layout) if self.book is not None else None
        return CorrectionQueue(self.ledger, self.store, self._layout, "local", RECIPE, splits=keeping)

    @property
    def _layout(self) -> DatasetLayout:
        return replace(self.layout, gives_splits=self.splits is not None)

    def pay(self, name: str, *, title: str | None = None, **columns: Any) -> str:
        """Have a track planned and paid; give its token."""
        track, token = row(name, **columns), f"token-{name}"
        self.ledger.tracks.plan(self.run_id, [track])
        self.ledger.attempts.reserve(self.run_id, track, token, 7, Limits())
        self.ledger.attempts.mark_sending(token)
        self.ledger.attempts.record_submission(token, Submission(f"job-{name}", 7))
        self.ledger.attempts.record_ready(
            token, Job(f"job-{name}", Phase.DONE, credits_charged=7, title=title)
        )
        return token

    def collect(self, name: str, **columns: Any) -> str:
        """Have a track planned, paid and collected; give its token."""
        token = self.pay(name, **columns)
        facts = ("flac", 44100, 2, 9, 2.5, 9, "ab", None, None, "ok")
        stem = StemFile("vocals", f"audio/{name}.flac", *facts, activity=ACTIVITY.pack())
        self.ledger.attempts.record_collected(CollectedTrack(token, (stem,), 120.0, "Am", None, None, NOW))
        return token

    def publish(self, *names: str, **columns: Any) -> None:
        """Publish some tracks as one batch."""
        assert self.publisher.publish(self.run_id, [self.collect(name, **columns) for name in names])

    def plan(self, *rows: Track) -> CorrectionQueue:
        """Plan rows as a later run does; give what it noticed."""
        queue = self.queue
        self.ledger.tracks.plan(self.run_id, rows)
        queue.notice(rows)
        if queue.splits is not None:
            queue.splits.decide()
        return queue

    def rows(self, table: str = "tracks") -> dict[str, Mapping[str, Any]]:
        """Give a table's rows by track."""
        frame = pd.read_parquet(self.folder / "out" / table)
        assert frame["track_id"].is_unique or table == "stems"
        return {each["track_id"]: each for each in frame.to_dict("records")}

    def files(self) -> dict[str, bytes]:
        """Give every part by its path."""
        return {str(path): path.read_bytes() for path in (self.folder / "out").rglob("part-*.parquet")}


@contextmanager
def open_night(folder: Path, partition_by: tuple[str, ...] = (), **types: pa.DataType) -> Iterator[Night]:
    """Open a fresh ledger and dataset whose carried columns are these."""
    with open_ledger(f"sqlite:///{folder}/night.db") as ledger:
        run_id = ledger.runs.start("night", "local", RECIPE, "digest", "key")
        url = str(folder / "out")
        known = KnownDataset(
            "local",
            RECIPE.name,
            "set",
            url,
            unnamed="none",
            tracks=0,
            last_batch=None,
            adopted={},
            is_adopting=False,
        )
        ledger.datasets.add(known)
        ledger.datasets.write_into(known)
        yield Night(folder, ledger, DatasetLayout(partition_by, pa.schema(types.items())), run_id)


def row(name: str, **columns: Any) -> Track:
    """Give a manifest's row."""
    return Track(name, f"/{name}.wav", 1, duration_seconds=6.5, columns=columns)
