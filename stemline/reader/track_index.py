"""Where in a table the rows of each track are, so that one is read without looking through the others."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.dataset as pads
from numpy.typing import NDArray

_GROUPS_KEPT = 2
"""Row groups in memory of those that were read last: a track is asked for several times in a row."""
_MASK = (1 << 64) - 1


class RowRun(NamedTuple):
    """Rows of a part that lie together."""

    part: int
    """The number of the part in its table."""
    first_row: int
    rows: int


@dataclass(frozen=True, slots=True, eq=False)
class TrackIndex:
    """The runs of rows of every track, 20 bytes each, by the digest of its name in this process and its forks."""

    digests: NDArray[np.uint64]
    """Sorted."""
    runs: NDArray[np.int32]
    """(n, 3): of each digest the part, the first row and how many there are."""

    def find(self, track_id: str) -> list[RowRun]:
        """Give where rows of a track may be; another track may have the same digest."""
        digest = np.uint64(hash(track_id) & _MASK)
        first = np.searchsorted(self.digests, digest, "left")
        last = np.searchsorted(self.digests, digest, "right")
        return [RowRun(*map(int, run)) for run in self.runs[first:last]]


def index_tracks(table: pads.Dataset) -> TrackIndex:
    """Read the names of a table's tracks; its rows are looked at in parallel, part by part."""
    digests, runs = [np.empty(0, np.uint64)], [np.empty((0, 3), np.int32)]
    if "track_id" in table.schema.names and isinstance(table, pads.FileSystemDataset):
        numbers = {path: number for number, path in enumerate(table.files)}
        rows_before = dict.fromkeys(numbers, 0)
        for batch in _names(table).scan_batches():
            path, names = batch.fragment.path, batch.record_batch.column(0)
            found = pc.run_end_encode(names)
            ends = found.run_ends.to_numpy().astype(np.int64)
            begins = np.concatenate([[0], ends[:-1]]) if len(ends) else ends
            digests.append(np.asarray([hash(name) & _MASK for name in found.values.to_pylist()], np.uint64))
            part = np.full(len(ends), numbers[path])
            runs.append(np.stack([part, begins + rows_before[path], ends - begins], axis=1).astype(np.int32))
            rows_before[path] += len(names)
    pa.default_memory_pool().release_unused()
    joined = np.concatenate(digests)
    order = np.argsort(joined, kind="stable")
    return TrackIndex(joined[order], np.concatenate(runs)[order])


def _names(table: pads.Dataset) -> pads.Scanner:
    """Scan the names of tracks, some parts ahead: what is read and not yet looked at takes memory."""
    return table.scanner(columns=["track_id"], batch_size=65_536, fragment_readahead=8, batch_readahead=4)


class RowReader:
    """Reads rows of a table by their numbers in its parts, a row group at a time."""

    def __init__(self, table: pads.Dataset, columns: Sequence[str]) -> None:
        """Take the table and the columns to read of it, of which it may lack some."""
        self._fragments = list(table.get_fragments())
        self._schema = table.schema
        self._columns = [name for name in columns if name in table.schema.names]
        self._kept: OrderedDict[tuple[int, int], pa.Table] = OrderedDict()
        self._lock = threading.Lock()

    def read(self, run: RowRun) -> list[dict[str, Any]]:
        """Give rows; raises FileNotFoundError where the part is gone, IndexError where it has fewer by now."""
        rows: list[dict[str, Any]] = []
        before = 0
        for number, group in enumerate(self._fragments[run.part].row_groups):
            start = max(run.first_row - before, 0)
            stop = min(run.first_row + run.rows - before, group.num_rows)
            if start < stop:
                rows += self._group(run.part, number).slice(start, stop - start).to_pylist()
            before += group.num_rows
        if len(rows) != run.rows:
            raise IndexError(run)
        return rows

    def _group(self, part: int, number: int) -> pa.Table:
        key = (part, number)
        with self._lock:
            if key not in self._kept:
                fragment = self._fragments[part].subset(row_group_ids=[number])
                self._kept[key] = fragment.to_table(schema=self._schema, columns=self._columns)
                if len(self._kept) > _GROUPS_KEPT:
                    self._kept.popitem(last=False)
            self._kept.move_to_end(key)
            return self._kept[key]
