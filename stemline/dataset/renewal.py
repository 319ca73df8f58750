"""Older parts brought to the columns the dataset has now, each replaced whole under its own name.

A reader takes the columns of a table from its first part: pandas and DuckDB then do not see a later one, Polars and
`datasets` refuse the table. So a column that joins is written into every part before anything else is done.
"""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pyarrow as pa
import pyarrow.parquet as pq

from stemline.dataset.cell_value import column_array
from stemline.dataset.columns import is_first_version
from stemline.dataset.layout import DatasetLayout
from stemline.dataset.metadata import mark_renewed, part_keys, read_layout
from stemline.dataset.parts import put_part
from stemline.dataset.table_schemas import TRACKS_SCHEMA
from stemline.errors import ConfigError
from stemline.storage import Store

PARTS_AT_ONCE = 4


def renew_parts(store: Store, layout: DatasetLayout) -> int:
    """Write every part that lacks a column of the layout, or has one of another type, anew; give how many.

    What a crash cuts off is done by the next call. Raises ConfigError for a value that a type cannot hold.
    """
    kept = read_layout(store, layout.partition_by)
    if kept is None or not kept.is_behind:
        return 0
    work = [(key, layout.tracks) for key in part_keys(store, "tracks")]
    if set(layout.partition_by) - set(TRACKS_SCHEMA.names):
        work += [(key, layout.stems) for key in part_keys(store, "stems")]
    with ThreadPoolExecutor(PARTS_AT_ONCE) as threads:
        renewed = sum(threads.map(lambda one: _renew(store, *one), work))
    mark_renewed(store)
    return renewed


def _renew(store: Store, key: str, schema: pa.Schema) -> bool:
    """Write one part anew, where it is not yet as it should be; tell whether it was not."""
    try:
        part = pq.ParquetFile(pa.BufferReader(store.read_bytes(key)))
    except pa.ArrowInvalid:
        return False  # damaged: it is no reader's part, and nothing here makes it worse
    if part.schema_arrow.equals(schema):
        return False
    try:
        put_part(store, key, schema, _renewed(part, schema))
    except ValueError as error:
        raise ConfigError(
            f"{store.url(key)} cannot get the columns the dataset has now: {error}.",
            fix="Leave the column's type as it was.",
        ) from error
    return True


def _renewed(part: pq.ParquetFile, schema: pa.Schema) -> Iterator[pa.Table]:
    for number in range(part.num_row_groups):
        table = part.read_row_group(number)
        if is_first_version(part.schema_arrow):
            names = ["manifest_recipe" if name == "recipe" else name for name in table.column_names]
            table = table.rename_columns(names)
        yield pa.Table.from_arrays([_column(table, each) for each in schema], schema=schema)


def _column(table: pa.Table, wanted: pa.Field) -> pa.ChunkedArray | pa.Array:
    if wanted.name in table.column_names:
        found = table.column(wanted.name)
        return found if found.type == wanted.type else column_array(found.to_pylist(), wanted.type)
    if wanted.name == "recipe":
        parts = (table.column(name).to_pylist() for name in ("stems", "quality", "format"))
        return pa.array(["-".join(each) for each in zip(*parts, strict=True)], pa.string())
    return pa.nulls(table.num_rows, wanted.type)
