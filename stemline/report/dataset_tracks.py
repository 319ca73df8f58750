"""The tracks of a dataset as the rows of a table, in the order of artist, album and title."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from stemline.manifest.track_name import file_name
from stemline.report.figure_tables import FigureTables
from stemline.report.track_table import SHOWN_TRACKS, Cell, TrackColumn

COLUMNS = (
    TrackColumn("Track"),
    TrackColumn("Artist"),
    TrackColumn("Album"),
    TrackColumn("Split"),
    TrackColumn("Licence"),
    TrackColumn("Length", "clock"),
    TrackColumn("bpm", "number"),
    TrackColumn("Key"),
    TrackColumn("Credits", "number"),
    TrackColumn("Provider · recipe"),
    TrackColumn("Collected"),
)
_SELECT = """
    SELECT coalesce(nullif(title, ''), source_uri), artist, album, split, coalesce(license_spdx, license),
        CASE WHEN isfinite(duration_seconds) THEN duration_seconds END, CASE WHEN isfinite(bpm) THEN bpm END, key,
        credits_charged, concat_ws(' · ', provider, recipe), CAST(collected_on AS VARCHAR), title, track_id
    FROM tracks ORDER BY artist NULLS LAST, album NULLS LAST, title NULLS LAST, track_id, provider, recipe
"""


def read_shown_tracks(tables: FigureTables) -> list[tuple[Cell, ...]]:
    """Give the rows that a page has room for, by COLUMNS; of one maker only, it is told elsewhere."""
    rows = [_cells(row) for row in tables.rows(f"{_SELECT} LIMIT {SHOWN_TRACKS}")]
    makers = {row[9] for row in rows}
    return [(*row[:9], None, row[10]) for row in rows] if len(makers) == 1 else rows


def stream_tracks(tables: FigureTables) -> Iterator[tuple[Cell, ...]]:
    """Give the rows of all tracks, some at a time."""
    return map(_cells, tables.stream(_SELECT))


def _cells(row: tuple[Any, ...]) -> tuple[Cell, ...]:
    """Give a row by COLUMNS; a track without a title is called by its file, else by its id."""
    shown, *cells, title, track_id = row
    return (shown if title else file_name(shown or "") or track_id, *cells)
