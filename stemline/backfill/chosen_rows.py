"""The rows a backfill has chosen: figures in memory, the rows themselves on disk until they are frozen."""

from __future__ import annotations

import math
from array import array
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from stemline.ledger import BackfillOrder, FrozenRow
from stemline.ledger.cell import dump_cells, load_cells
from stemline.plan.workload import PendingTrack
from stemline.records import Track
from stemline.storage import disk_guarded


@dataclass(frozen=True, slots=True)
class SliceTotal:
    """What one slice comes to: tracks, and the credits they cost at most."""

    slice: str
    tracks: int
    credits: int


class ChosenRows:
    """Rows in the manifest's order, with what a plan needs of each; a million must fit into memory."""

    def __init__(self, folder: Path) -> None:
        """Keep the rows themselves in a file in this folder."""
        self._path = folder / "rows.jsonl"
        with disk_guarded(folder):
            self._file = self._path.open("w", encoding="utf-8")
        self._slices: dict[str, int] = {}
        self._slice, self._dated = array("l"), array("d")
        self._priority, self._seconds = array("q"), array("d")
        self._credits, self._is_upload = array("q"), array("b")

    def __len__(self) -> int:
        """Give how many there are."""
        return len(self._slice)

    def add(self, row: FrozenRow, *, is_upload: bool) -> None:
        """Add a row."""
        track = row.track
        self._slice.append(self._slices.setdefault(row.slice, len(self._slices)))
        self._dated.append(math.nan if row.dated is None else row.dated.timestamp())
        self._priority.append(track.priority)
        self._seconds.append(math.nan if track.duration_seconds is None else track.duration_seconds)
        self._credits.append(row.credits)
        self._is_upload.append(is_upload)
        with disk_guarded(self._path.parent):
            self._file.write(dump_cells(_cells(row)) + "\n")

    def rows(self) -> Iterator[FrozenRow]:
        """Give the rows in the manifest's order."""
        with disk_guarded(self._path.parent):
            self._file.flush()
            with self._path.open(encoding="utf-8") as lines:
                yield from map(_row, lines)

    def to_pay(self, order: BackfillOrder) -> Iterator[PendingTrack]:
        """Give those that cost anything, in the order in which they are sent."""
        for place in self._places(order):
            if self._credits[place]:
                seconds = self._seconds[place]
                yield PendingTrack(None if math.isnan(seconds) else seconds, bool(self._is_upload[place]))

    def slices(self, order: BackfillOrder) -> list[SliceTotal]:
        """Give what each slice comes to, in the order in which their first tracks go."""
        if not self._slice:
            return []
        of_slice = np.frombuffer(self._slice, dtype=np.dtype("l"))
        tracks = np.bincount(of_slice, minlength=len(self._slices))
        cost = np.bincount(of_slice, weights=np.frombuffer(self._credits, np.int64), minlength=len(tracks))
        ordered, first = of_slice[self._places(order)], np.empty(len(tracks), np.int64)
        first[ordered[::-1]] = np.arange(len(ordered))[::-1]
        names = list(self._slices)
        return [SliceTotal(names[code], int(tracks[code]), round(cost[code])) for code in np.argsort(first)]

    def _places(self, order: BackfillOrder) -> npt.NDArray[np.int64]:
        """Give the places of the rows as they are sent: as the ledger numbers them (`ledger/backfill.py`)."""
        dated = np.frombuffer(self._dated, np.float64)
        undated, newest = np.isnan(dated), np.where(np.isnan(dated), 0.0, -dated)
        seconds = np.frombuffer(self._seconds, np.float64)
        keys: dict[BackfillOrder, tuple[npt.NDArray[Any], ...]] = {
            BackfillOrder.NEWEST: (newest, undated),
            BackfillOrder.OLDEST: (-newest, undated),
            BackfillOrder.PRIORITY: (newest, undated, -np.frombuffer(self._priority, np.int64)),
            BackfillOrder.SHORTEST: (
                newest,
                undated,
                np.where(np.isnan(seconds), 0.0, seconds),
                np.isnan(seconds),
            ),
        }
        return np.lexsort(keys[order])  # the last key first; stable, so that equals stay as they came


def _cells(row: FrozenRow) -> dict[str, Any]:
    track = row.track
    return {
        "slice": row.slice,
        "track_id": track.track_id,
        "location": track.location,
        "position": track.position,
        "priority": track.priority,
        "duration_seconds": track.duration_seconds,
        "size_bytes": track.size_bytes,
        "columns": track.columns,
        "row_digest": row.row_digest,
        "credits": row.credits,
        "dated": row.dated,
        "last_attempt": row.last_attempt,
    }


def _row(line: str) -> FrozenRow:
    cells = load_cells(line)
    of_row = {name: cells.pop(name) for name in ("slice", "row_digest", "credits", "dated", "last_attempt")}
    dated: datetime | None = of_row.pop("dated")
    return FrozenRow(track=Track(**cells), dated=None if dated is None else dated.astimezone(UTC), **of_row)
