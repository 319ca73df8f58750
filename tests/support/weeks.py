"""A dataset that grows week by week from manifests, without any audio behind it, and everybody who reads it."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from threading import Lock

import duckdb
import pandas as pd
import polars as pl
import pyarrow.dataset as pads

from stemline.dataset.columns import join_columns
from stemline.dataset.layout import DatasetLayout
from stemline.dataset.metadata import claim_layout, kept_columns
from stemline.dataset.parts import DatasetBatch, write_parts
from stemline.dataset.renewal import renew_parts
from stemline.dataset.table_row import PublishedRow
from stemline.ledger.cell import dump_cells, load_cells
from stemline.manifest import ManifestSource
from stemline.manifest.scan import read_columns, scan_manifest
from stemline.records import Attempt, CollectedTrack, Job, Phase, Recipe, StemFile, Track
from stemline.storage import Store, open_store

RECIPE = Recipe("vocals", "best", "flac")

_AT_THE_PARTS = Lock()
"""One at a time, as runs hold the lease on a dataset's parts: a renewal that is late would undo a newer one."""


@dataclass
class Weeks:
    """The dataset and its manifests; each week does what a run does with the columns, in its order."""

    folder: Path
    number: int = 0
    layout: DatasetLayout = field(default_factory=DatasetLayout)

    @property
    def store(self) -> Store:
        return open_store(str(self.folder / "out"))

    def write(self, name: str, text: str) -> Path:
        path = self.folder / name
        path.write_text(text)
        return path

    def open(self, manifest: Path, **types: str) -> list[Track]:
        """Check the columns of a week and join them to the dataset's; give the tracks, as the ledger has them."""
        source = ManifestSource(str(manifest), types=types)
        kept = kept_columns(self.store)
        given = read_columns(replace(source, carried=kept))
        carried = given if kept is None else join_columns(kept, given)
        self.layout = claim_layout(self.store, DatasetLayout(carried=carried))
        with _AT_THE_PARTS:
            renew_parts(self.store, self.layout)
        batches = scan_manifest(replace(source, carried=self.layout.carried))
        tracks = [track for batch in batches for track in batch.tracks]
        return [replace(track, columns=load_cells(dump_cells(track.columns))) for track in tracks]

    def publish(self, tracks: list[Track], store: Store | None = None) -> None:
        self.number += 1
        batch = DatasetBatch(
            f"{self.number:04d}", f"run-{self.number}", [collected(track) for track in tracks]
        )
        write_parts(store or self.store, batch, self.layout)

    def run(self, manifest: Path, **types: str) -> None:
        self.publish(self.open(manifest, **types))

    def read(self, *columns: str) -> dict[str, tuple[object, ...]]:
        """Give the tracks' columns; every reader sees the same."""
        return read_by_everyone(self.folder / "out", *columns)


def read_by_everyone(dataset: Path, *columns: str) -> dict[str, tuple[object, ...]]:
    """Give the columns of a dataset's tracks; every reader sees the same."""
    seen = {who: _by_id(reader(dataset), columns) for who, reader in READERS.items()}
    assert all(rows == seen["pyarrow"] for rows in seen.values()), seen
    return seen["pyarrow"]


def collected(track: Track) -> PublishedRow:
    """Give a track as a collector would leave it."""
    attempt = Attempt(f"token-{track.track_id}", track, RECIPE, "local", 1, 3, job_id="job")
    stem = StemFile("vocals", "audio/x.flac", "flac", 44100, 2, 9, 2.5, 9, "ab", None, None, "ok")
    found = CollectedTrack(
        attempt.token, (stem,), 120.0, "Am", "provider", "provider", datetime(2026, 11, 21, tzinfo=UTC)
    )
    return PublishedRow(attempt, Job("job", Phase.DONE, credits_charged=3), found)


def _by_id(rows: list[dict], columns: tuple[str, ...]) -> dict[str, tuple[object, ...]]:
    return {row["track_id"]: tuple(_plain(row[name]) for name in columns) for row in rows}


def _plain(value: object) -> object:
    """Give a value without what readers make of it: pandas has NaN for null and arrays for lists."""
    if hasattr(value, "tolist"):
        value = value.tolist()
    if isinstance(value, list):
        return [_plain(each) for each in value]
    if isinstance(value, dict):
        return {name: _plain(each) for name, each in value.items()}
    if isinstance(value, datetime):
        return value.isoformat()
    return None if value is pd.NaT or value != value else value  # noqa: PLR0124 - NaN alone differs from itself


def _datasets(folder: Path, table: str = "tracks") -> list[dict]:
    os.environ["HF_HUB_OFFLINE"] = "1"
    import datasets  # noqa: PLC0415 - it reads the environment when it is imported

    count = len(list(folder.parent.glob("cache-*")))
    files = f"{folder}/{table}/**/*.parquet"
    cache = str(folder.parent / f"cache-{count}")
    return datasets.load_dataset("parquet", data_files=files, split="train", cache_dir=cache).to_list()


def _duckdb(folder: Path, table: str = "tracks") -> list[dict]:
    return duckdb.sql(f"FROM '{folder}/{table}/**/*.parquet'").to_arrow_table().to_pylist()


READERS: dict[str, Callable[..., list[dict]]] = {
    "pandas": lambda folder, table="tracks": pd.read_parquet(folder / table).to_dict("records"),
    "pyarrow": lambda folder, table="tracks": pads.dataset(folder / table).to_table().to_pylist(),
    "duckdb": _duckdb,
    "polars": lambda folder, table="tracks": pl.read_parquet(f"{folder}/{table}/**/*.parquet").to_dicts(),
    "datasets": _datasets,
}
"""None is told anything of the columns."""
