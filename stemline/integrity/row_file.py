"""Rows gathered on the local disk, from several threads, for DuckDB to compare."""

from __future__ import annotations

from pathlib import Path
from threading import Lock
from types import TracebackType
from typing import Any, Self

import pyarrow as pa
import pyarrow.parquet as pq

ROWS_AT_ONCE = 50_000


class RowFile:
    """A Parquet file of a few columns, written in groups that are large enough to be read fast."""

    def __init__(self, path: Path, schema: pa.Schema) -> None:
        """Begin the file."""
        self.path = path
        self._schema = schema
        self._writer = pq.ParquetWriter(path, schema, compression="zstd", compression_level=1)
        self._lock = Lock()
        self._held: list[pa.Table] = []
        self._cells: list[tuple[Any, ...]] = []
        self._rows = 0

    def add(self, table: pa.Table) -> None:
        """Add rows."""
        with self._lock:
            self._held.append(table.select(self._schema.names).cast(self._schema))
            self._rows += table.num_rows
            if self._rows >= ROWS_AT_ONCE:
                self._flush()

    def add_row(self, *cells: object) -> None:
        """Add one row; from one thread alone."""
        self._cells.append(cells)
        if len(self._cells) >= ROWS_AT_ONCE:
            self._take_cells()

    def __enter__(self) -> Self:
        """Give the file to add to."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """End the file."""
        self._take_cells()
        self._flush()
        self._writer.close()

    def _take_cells(self) -> None:
        columns = list(zip(*self._cells, strict=True)) or [()] * len(self._schema)
        self._cells = []
        self.add(pa.table([list(column) for column in columns], schema=self._schema))

    def _flush(self) -> None:
        if self._rows:
            self._writer.write_table(pa.concat_tables(self._held), row_group_size=2 * ROWS_AT_ONCE)
        self._held, self._rows = [], 0
