"""Parts of one table and partition as one sorted part, or as few as a size allows, in bounded memory.

DuckDB reads and sorts what consists of plain values and fits into its memory: of thousands of small files it reads
four times as many a second as pyarrow. The rest is sorted by ranges: DuckDB ends where long rows outgrow its memory.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import pyarrow as pa
import pyarrow.parquet as pq

from stemline.dataset.parts import ROWS_PER_GROUP, part_writer
from stemline.errors import StorageError

if TYPE_CHECKING:
    import duckdb

PART_BYTES = 512 << 20
"""How large a part becomes before the next one is begun."""
MEMORY_BYTES = 384 << 20
"""How much DuckDB may hold while it sorts."""
GROUP_BYTES = 64 << 20
"""How large a row group of wide rows becomes, uncompressed."""
_SORTED_BY = ("track_id", "stem", "provider", "recipe", "attempt_token")
_PLAIN = {
    pa.string(),
    pa.bool_(),
    pa.int32(),
    pa.int64(),
    pa.float64(),
    pa.date32(),
    pa.timestamp("us"),
    pa.timestamp("us", tz="UTC"),
}
"""Types that come back from DuckDB as they went in."""


@dataclass(frozen=True, slots=True)
class SortedMerge:
    """What is to be merged, and where the files are that come of it."""

    schema: pa.Schema
    files: Sequence[Path]
    folder: Path
    """Where there is room to work."""

    def write(self) -> Iterator[Path]:
        """Write the parts one after another; each is gone when the next is asked for.

        Raises StorageError at the end when other rows went in than came out.
        """
        there, size = self._measured()
        rows, path, tables = 0, self.folder / "merged.parquet", self._sorted(size)
        for first in tables:
            with part_writer(path, self.schema) as writer:
                rows += _fill(writer, path, first, tables)
            yield path
            path.unlink()
        if rows != there:
            raise StorageError(f"Of {there:,} rows {rows:,} were merged: nothing is replaced.")

    def _sorted(self, size: int) -> Iterator[pa.Table]:
        """Give the rows in order, a row group's worth at a time."""
        if not self.files:
            return
        with _told():
            if size <= MEMORY_BYTES // 2 and all(field.type in _PLAIN for field in self.schema):
                yield from self._sorted_by_duckdb()
                return
            from stemline.rewrite.range_sort import RangeSort  # noqa: PLC0415 - not for nothing to merge

            ranges = RangeSort(self.files, self.schema, self._order, self.folder)
            yield from ranges.tables(GROUP_BYTES, ROWS_PER_GROUP)

    def _measured(self) -> tuple[int, int]:
        """Give how many rows there are, and how many bytes before they are compressed."""
        rows = size = 0
        for file in self.files:
            known = pq.read_metadata(file)
            rows += known.num_rows
            size += sum(known.row_group(number).total_byte_size for number in range(known.num_row_groups))
        return rows, size

    def _sorted_by_duckdb(self) -> Iterator[pa.Table]:
        columns = ", ".join(f'"{name}"' for name in _quoted(self.schema.names))
        order = ", ".join(f'"{name}"' for name in self._order)
        with _connection(self.folder) as connection:
            reader = connection.sql(
                f"SELECT {columns} FROM read_parquet($1, hive_partitioning = false) ORDER BY {order}",
                params=[[str(file) for file in self.files]],
            ).to_arrow_reader(ROWS_PER_GROUP)
            for batch in reader:
                yield pa.Table.from_batches([batch]).cast(self.schema)

    @property
    def _order(self) -> list[str]:
        return [name for name in _SORTED_BY if name in self.schema.names]


def _fill(writer: pq.ParquetWriter, path: Path, first: pa.Table, batches: Iterator[pa.Table]) -> int:
    """Write row groups until the part is as large as one may be; give how many rows."""
    writer.write_table(first)
    rows = int(first.num_rows)
    while path.stat().st_size < PART_BYTES and (table := next(batches, None)) is not None:
        writer.write_table(table)
        rows += int(table.num_rows)
    return rows


@contextmanager
def _connection(folder: Path) -> Iterator[duckdb.DuckDBPyConnection]:
    import duckdb  # noqa: PLC0415 - not for nothing to merge

    settings: dict[str, str | bool | int | float | list[str]] = {
        "memory_limit": f"{MEMORY_BYTES >> 20}MB",
        "temp_directory": str(folder / "duckdb"),
        "preserve_insertion_order": "false",
    }
    with duckdb.connect(config=settings) as connection:
        connection.execute("SET TimeZone = 'UTC'; SET enable_progress_bar = false")
        yield connection


@contextmanager
def _told() -> Iterator[None]:
    """Say what could not be read or sorted as any other trouble with files is said."""
    import duckdb  # noqa: PLC0415 - not for nothing to merge

    try:
        yield
    except (duckdb.Error, pa.ArrowInvalid, OSError) as error:
        if isinstance(error, OSError) and error.errno is not None:
            raise
        line, _, _ = str(error).partition("\n")
        raise StorageError(
            f"Parts cannot be merged: {line}",
            fix="`stemline verify` tells which are damaged; else see that the temporary folder's disk has space.",
        ) from error


def _quoted(names: Sequence[str]) -> list[str]:
    return [name.replace('"', '""') for name in names]
