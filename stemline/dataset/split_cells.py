"""The split of rows that are in the tables already: read with what decides it, and written where it is lacking."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from stemline.dataset.layout import DatasetLayout
from stemline.dataset.parts import put_part
from stemline.dataset.renewal import opened_part, renewed_tables
from stemline.storage import Store

ROWS_AT_ONCE = 10_000
NEEDED = ("track_id", "artist", "title", "isrc", "source_sha256", "split")
FindSplits = Callable[[Sequence[Mapping[str, Any]]], list[str | None]]
"""Gives the splits of some rows."""


@dataclass(frozen=True, slots=True)
class SplitCells:
    """The cells of one dataset's tracks table that tell who is in which split."""

    store: Store
    layout: DatasetLayout
    by: str
    """What the dataset is split by."""

    def rows(self, key: str) -> Iterator[list[dict[str, Any]]]:
        """Give the rows of a part, some at a time, with the cells that their split follows from.

        Raises StorageError for a part that cannot be read, FileNotFoundError for one that is gone.
        """
        with opened_part(self.store, key) as part:
            yield from _rows(part, self.by)

    def are_lacking(self, key: str, find: FindSplits) -> bool:
        """Tell whether rows of a part have no split and are in one."""
        return any(split is not None for rows in self.rows(key) for _, split in _lacking(rows, find))

    def fill(self, key: str, find: FindSplits, require_hold: Callable[[], None]) -> dict[str, str]:
        """Write a part anew with the splits that its rows lack; give these by the tracks' ids."""
        with opened_part(self.store, key) as part:
            found = [pair for rows in _rows(part, self.by) for pair in _lacking(rows, find)]
            tables = _filled(part, self.layout, [split for _, split in found])
            put_part(self.store, key, self.layout.tracks, _held(tables, require_hold))
        return {track_id: split for track_id, split in found if split is not None}


def _rows(part: pq.ParquetFile, by: str) -> Iterator[list[dict[str, Any]]]:
    columns = [name for name in dict.fromkeys([*NEEDED, by]) if name in part.schema_arrow.names]
    for batch in part.iter_batches(ROWS_AT_ONCE, columns=columns):
        yield batch.to_pylist()


def _lacking(rows: Sequence[Mapping[str, Any]], find: FindSplits) -> Iterator[tuple[str, str | None]]:
    """Give each row's track with the split it lacks; None: it lacks none, or is in none."""
    for row, split in zip(rows, find(rows), strict=True):
        yield row["track_id"], None if row["split"] else split


def _filled(part: pq.ParquetFile, layout: DatasetLayout, splits: Sequence[str | None]) -> Iterator[pa.Table]:
    place, at = layout.tracks.get_field_index("split"), 0
    for table in renewed_tables(part, layout.tracks, layout):
        kept = table.column(place).to_pylist()
        new = [one or old for one, old in zip(splits[at : at + len(kept)], kept, strict=True)]
        at += len(kept)
        yield table.set_column(place, layout.tracks.field(place), pa.array(new, pa.string()))


def _held(tables: Iterator[pa.Table], require_hold: Callable[[], None]) -> Iterator[pa.Table]:
    yield from tables
    require_hold()  # the last thing before the part is put
