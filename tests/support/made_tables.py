"""Tables of a dataset written row by row, with whatever columns a test gives, and no audio behind them."""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import UTC, date, datetime
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from stemline.dataset.table_schemas import ACTIVITY_SCHEMA, SCHEMA_VERSION, STEMS_SCHEMA, TRACKS_SCHEMA
from stemline.settings import Settings
from stemline.storage import Store, open_store

DAY = date(2026, 11, 3)
SCHEMAS = {"tracks": TRACKS_SCHEMA, "stems": STEMS_SCHEMA, "activity": ACTIVITY_SCHEMA}
STEM_NAMES = ("vocals", "drums")


@dataclass
class MadeTables:
    """A dataset whose parts are written one after another."""

    url: str
    storage_options: dict[str, Any]
    parts: int = 0

    @property
    def store(self) -> Store:
        return open_store(self.url, self.storage_options)

    @property
    def settings(self) -> Settings:
        dataset = {"url": self.url, "storage_options": self.storage_options}
        tree = {"name": "songs", "catalogue": {"manifest": "songs.csv"}, "provider": {"kind": "local"}}
        return Settings.model_validate({**tree, "recipe": {"stems": "both"}, "dataset": dataset})

    def begin(self, **layout: Any) -> None:
        """Write the layout of a dataset that nothing is published in yet."""
        tree = {
            "schema_version": SCHEMA_VERSION,
            "partition_by": [],
            "audio": "objects",
            "columns": [],
            "begun": True,
            **layout,
        }
        self.store.put_bytes("_stemline/layout.json", json.dumps(tree).encode())

    def add(self, table: str, rows: list[dict[str, Any]], without: tuple[str, ...] = ()) -> None:
        """Write rows as a part; the columns `without` are not in it."""
        self.parts += 1
        schema = pa.schema([field for field in SCHEMAS[table] if field.name not in without])
        sink = pa.BufferOutputStream()
        pq.write_table(pa.Table.from_pylist(rows, schema=schema), sink)
        self.store.put_bytes(f"{table}/part-{self.parts:020x}.parquet", sink.getvalue().to_pybytes())

    def publish(self, *tracks: dict[str, Any], stem: dict[str, Any] | None = None) -> None:
        """Write tracks with two stems each, and what each of their seconds holds; a stem's facts may be given."""
        given = [track_row(**track) for track in tracks]
        self.add("tracks", given)
        self.add("stems", [stem_row(row, name, **(stem or {})) for row in given for name in STEM_NAMES])
        self.add("activity", [activity_row(row, name) for row in given for name in STEM_NAMES])


def track_row(track_id: str, **facts: Any) -> dict[str, Any]:
    recipe = {"stems": "both", "quality": "best", "format": "flac", "recipe": "both-best-flac"}
    made = {
        "provider": "local",
        "attempt_token": f"token-{track_id}",
        "source_uri": f"{track_id}.flac",
        **recipe,
    }
    when = {"run_id": "run-1", "collected_at": datetime(2026, 11, 3, tzinfo=UTC), "collected_on": DAY}
    music = {"bpm": 120.0, "key": "Am", "bpm_source": "provider", "key_source": "stemline"}
    known = {
        "duration_seconds": 180.0,
        "artist": "Nina",
        "title": f"Song {track_id}",
        "license": "CC0-1.0",
        "ai_training": "unknown",
    }
    return {"track_id": track_id, **made, **when, **music, **known, **facts}


def stem_row(track: dict[str, Any], stem: str, **facts: Any) -> dict[str, Any]:
    same = {name: track[name] for name in ("track_id", "provider", "recipe", "run_id", "collected_on")}
    sound = {"sample_rate": 44_100, "channels": 2, "frames": 7_938_000, "duration_seconds": 180.0}
    levels = {"peak_dbfs": -1.5, "rms_dbfs": -18.5, "silent_share": 0.1, "clipped_share": 0.0}
    rest = {"residual_db": -42.5, "residual_of": "source", "sha256": "ab" * 32, "verification": "ok"}
    path = f"audio/ab/{track['track_id']}/local-both-best-flac/{stem}.flac"
    return {
        **same,
        **sound,
        **levels,
        **rest,
        "stem": stem,
        "path": path,
        "format": "flac",
        "size_bytes": 1_000_000,
    } | facts


def activity_row(track: dict[str, Any], stem: str) -> dict[str, Any]:
    same = {name: track[name] for name in ("track_id", "provider", "recipe", "run_id", "collected_on")}
    return {**same, "stem": stem, "hop_seconds": 1.0, "rms_dbfs": [-20.0, -120.0, -6.0]}
