"""The dataset: two Parquet tables and the audio beside them, readable with no stemline installed."""

from __future__ import annotations

from stemline.dataset.layout import Layout, path_safe, staged_path, stem_path
from stemline.dataset.part import Batch, discard_staged, publish
from stemline.dataset.record import claim_layout, write_rejects, write_run_summary
from stemline.dataset.row import PublishedRow
from stemline.dataset.schema import (
    REJECTS_SCHEMA,
    SCHEMA_VERSION,
    STEMS_SCHEMA,
    TRACKS_SCHEMA,
    stems_schema,
    tracks_schema,
)

__all__ = [
    "REJECTS_SCHEMA",
    "SCHEMA_VERSION",
    "STEMS_SCHEMA",
    "TRACKS_SCHEMA",
    "Batch",
    "Layout",
    "PublishedRow",
    "claim_layout",
    "discard_staged",
    "path_safe",
    "publish",
    "staged_path",
    "stem_path",
    "stems_schema",
    "tracks_schema",
    "write_rejects",
    "write_run_summary",
]
