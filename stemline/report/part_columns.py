"""Some columns of every part of a table, read part by part, so that memory grows neither with parts nor with rows."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import closing
from itertools import islice

import numpy as np
import pyarrow as pa
import pyarrow.dataset as pads
import pyarrow.parquet as pq
from pyarrow import fs

ROWS_AT_ONCE = 20_000
_AHEAD, _AHEAD_HERE = 16, 3
"""How many parts are being opened ahead: each takes a few requests of a store, and next to nothing of a disk."""


def read_part_columns(table: pads.Dataset, wanted: Sequence[str]) -> Iterator[pa.Table]:
    """Give those columns that there are of all parts, about ROWS_AT_ONCE rows at a time.

    The rows of one table are of one part, or of small ones that have the same columns; its last column `part` is the
    part's place in the table's `files`.

    Raises OSError for a part that is gone, pa.ArrowException for one that is damaged.
    """
    waiting: list[tuple[int, pa.Table]] = []
    count = 0
    for number, rows in _each(table, wanted):
        if waiting and (count >= ROWS_AT_ONCE or not waiting[0][1].schema.equals(rows.schema)):
            yield _joined(waiting)
            waiting, count = [], 0
        waiting.append((number, rows))
        count += len(rows)
    if waiting:
        yield _joined(waiting)


def _joined(waiting: Sequence[tuple[int, pa.Table]]) -> pa.Table:
    parts = np.repeat(
        np.array([number for number, _ in waiting], np.int32), [len(rows) for _, rows in waiting]
    )
    return pa.concat_tables([rows for _, rows in waiting]).append_column("part", pa.array(parts))


def _each(table: pads.Dataset, wanted: Sequence[str]) -> Iterator[tuple[int, pa.Table]]:
    files = getattr(table, "files", [])  # a table without parts is none of files
    ahead = _AHEAD_HERE if isinstance(getattr(table, "filesystem", None), fs.LocalFileSystem) else _AHEAD
    with ThreadPoolExecutor(ahead) as threads:
        opening = (threads.submit(_OpenPart, table, path, wanted) for path in files)
        for number, part in enumerate(_in_turn(opening, ahead)):
            with closing(part):
                for rows in part.tables():
                    yield number, rows


def _in_turn(opening: Iterable[Future[_OpenPart]], ahead: int) -> Iterator[_OpenPart]:
    """Give what is being opened in order, a few of them under way."""
    rest = iter(opening)
    under_way = deque(islice(rest, ahead))
    while under_way:
        yield under_way.popleft().result()
        under_way.extend(islice(rest, 1))


class _OpenPart:
    """A part that is open; a small one is read already, by the thread that opened it."""

    def __init__(self, table: pads.Dataset, path: str, wanted: Sequence[str]) -> None:
        self._source = table.filesystem.open_input_file(path)
        self._file = pq.ParquetFile(self._source, pre_buffer=True)
        there = set(self._file.schema_arrow.names)
        self._columns = [name for name in wanted if name in there]
        is_small = self._file.metadata.num_rows <= ROWS_AT_ONCE
        self._read = self._file.read(columns=self._columns, use_threads=False) if is_small else None

    def tables(self) -> Iterator[pa.Table]:
        """Give its rows, some at a time."""
        if self._read is not None:
            yield self._read
            return
        for batch in self._file.iter_batches(ROWS_AT_ONCE, columns=self._columns, use_threads=False):
            yield pa.Table.from_batches([batch])

    def close(self) -> None:
        """Let go of it."""
        self._file.close()
        self._source.close()
