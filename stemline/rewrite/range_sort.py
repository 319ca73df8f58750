"""Rows that are wide, such as those that hold every second of a stem, sorted in bounded memory.

They are cut on the disk into ranges of track ids, each about as large as one may be in memory, and sorted one by one.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

RANGE_BYTES = 64 << 20
"""How much is sorted at once, uncompressed."""
MOST_RANGES = 500
"""Each is an open file while rows are cut."""
_SAMPLES = 200_000
_SPOOLED = pa.ipc.IpcWriteOptions(compression="lz4")


@dataclass(frozen=True, slots=True)
class RangeSort:
    """Parts of one table, to be given in order."""

    files: Sequence[Path]
    schema: pa.Schema
    order: Sequence[str]
    """The columns to sort by; the first is cut into ranges."""
    folder: Path
    """Where there is room to work."""

    def tables(self, group_bytes: int, group_rows: int) -> Iterator[pa.Table]:
        """Give the rows in order, in tables of so many bytes and rows at most."""
        for table in self._ranges():
            ranks = [(name, "ascending") for name in self.order]
            places = pc.sort_indices(table.select(self.order), sort_keys=ranks)
            step = max(1, min(group_rows, group_bytes * table.num_rows // max(1, table.nbytes)))
            for start in range(0, table.num_rows, step):
                yield table.take(places.slice(start, step))

    def _ranges(self) -> Iterator[pa.Table]:
        """Give the rows range by range; inside one they are in no order."""
        bounds = self._bounds()
        if not bounds:
            yield from self._read(at_once=None)
            return
        for path in self._cut(bounds):
            with pa.OSFile(str(path)) as file, pa.ipc.open_stream(file) as reader:
                yield reader.read_all()
            path.unlink()

    def _read(self, at_once: int | None = RANGE_BYTES) -> Iterator[pa.Table]:
        """Give the rows as they lie, so many bytes at once; None: all."""
        held: list[pa.Table] = []
        size = 0
        for file in self.files:
            with pq.ParquetFile(file) as part:
                for number in range(part.num_row_groups):
                    table = part.read_row_group(number).select(self.schema.names).cast(self.schema)
                    if held and at_once is not None and size + table.nbytes > at_once:
                        yield pa.concat_tables(held)
                        held, size = [], 0
                    held.append(table)
                    size += table.nbytes
        if held:
            yield pa.concat_tables(held)

    def _bounds(self) -> list[str]:
        """Give the ids at which a new range begins; none where all may be in memory at once."""
        known = [pq.read_metadata(file) for file in self.files]
        rows = sum(each.num_rows for each in known)
        size = sum(
            each.row_group(number).total_byte_size for each in known for number in range(each.num_row_groups)
        )
        ranges = min(MOST_RANGES, int(size * self._growth() / RANGE_BYTES) + 1)
        if ranges == 1:
            return []
        found = [self._sampled(file, max(1, rows // _SAMPLES)) for file in self.files]
        ids = sorted(each for ids in found for each in ids)
        return sorted({ids[number * len(ids) // ranges] for number in range(1, ranges)})

    def _growth(self) -> float:
        """Give by how much rows are larger in memory than Parquet says: lists of numbers are packed there."""
        largest = max(self.files, key=lambda file: file.stat().st_size)
        with pq.ParquetFile(largest) as part:
            packed = max(1, part.metadata.row_group(0).total_byte_size)
            return float(part.read_row_group(0).nbytes / packed)

    def _sampled(self, file: Path, step: int) -> list[str]:
        ids = pq.ParquetFile(file).read(columns=[self.order[0]]).column(0)
        return list(ids.take(pa.array(range(0, len(ids), step))).to_pylist())

    def _cut(self, bounds: Sequence[str]) -> list[Path]:
        """Write the rows of each range into a file of its own."""
        paths = [self.folder / f"range-{number}.arrow" for number in range(len(bounds) + 1)]
        with ExitStack() as stack:
            writers = [
                stack.enter_context(pa.ipc.new_stream(str(path), self.schema, options=_SPOOLED))
                for path in paths
            ]
            for table in self._read():
                rows = table.sort_by(self.order[0])
                ids = rows.column(self.order[0]).to_pylist()
                cuts = [0, *(bisect_left(ids, bound) for bound in bounds), len(ids)]
                for writer, start, end in zip(writers, cuts, cuts[1:], strict=False):
                    if end > start:
                        writer.write_table(rows.slice(start, end - start))
        return paths
