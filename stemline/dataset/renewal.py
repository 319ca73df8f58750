"""Older parts brought to the columns the dataset has now, each replaced whole under its own name.

A reader takes the columns of a table from its first part: pandas and DuckDB then do not see a later one, Polars and
`datasets` refuse the table. So a column that joins is written into every part before anything else is done.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, replace

import pyarrow as pa
import pyarrow.parquet as pq

from stemline.dataset.cell_value import column_array
from stemline.dataset.columns import columns_of_parts, join_columns, manifest_names, schema_version
from stemline.dataset.layout import DatasetLayout
from stemline.dataset.metadata import claim_layout, mark_renewed, part_keys, read_layout
from stemline.dataset.parts import put_part
from stemline.dataset.rights_columns import licenses_array, manifest_name, training_array
from stemline.dataset.table_schemas import SCHEMA_VERSION, TRACKS_SCHEMA, carried_columns
from stemline.errors import StorageError
from stemline.storage import Store, scratch_folder

PARTS_AT_ONCE = 4


def is_behind(store: Store, layout: DatasetLayout) -> bool:
    """Tell whether parts may lack a column the dataset has, or have one of another type."""
    kept = read_layout(store, layout.partition_by)
    return kept is not None and kept.is_behind


def renew_parts(store: Store, layout: DatasetLayout, require_hold: Callable[[], None] = lambda: None) -> int:
    """Write every part that lacks a column of the layout, or has one of another type, anew; give how many.

    `require_hold` is called before each is written, and raises when another one is at the parts. What a crash cuts
    off is done by the next call. Raises StorageError for a part that cannot be read.
    """
    renewed = 0
    while (kept := read_layout(store, layout.partition_by)) is not None and kept.is_behind:
        current = replace(layout, carried=kept.carried)
        try:
            renewed += _Renewal(store, current, kept.are_stems_behind, require_hold).run()
        except _UnknownColumns as found:
            claim_layout(store, replace(current, carried=join_columns(current.carried, found.columns)))
        else:
            mark_renewed(store, current)  # unless another run has joined a column meanwhile
    return renewed


class _UnknownColumns(Exception):
    """A part has columns that the layout does not know, such as one that was put back from a copy."""

    def __init__(self, columns: pa.Schema) -> None:
        super().__init__()
        self.columns = columns


@dataclass(frozen=True, slots=True)
class _Renewal:
    """One pass over all parts."""

    store: Store
    layout: DatasetLayout
    are_stems_behind: bool
    require_hold: Callable[[], None]

    def run(self) -> int:
        work = [(key, self.layout.tracks) for key in part_keys(self.store, "tracks")]
        if self.are_stems_behind or set(self.layout.partition_by) - set(TRACKS_SCHEMA.names):
            work += [(key, self.layout.stems) for key in part_keys(self.store, "stems")]
            work += [(key, self.layout.activity) for key in part_keys(self.store, "activity")]
        with ThreadPoolExecutor(PARTS_AT_ONCE) as threads:
            return sum(threads.map(lambda one: self._renew(*one), work))

    def _renew(self, key: str, schema: pa.Schema) -> bool:
        """Write one part anew, where it is not yet as it should be; tell whether it was not."""
        with opened_part(self.store, key) as part:
            if part.schema_arrow.equals(schema):
                return False
            if key.startswith("tracks/"):
                self._refuse_unknown(part.schema_arrow)
            try:
                put_part(self.store, key, schema, self._held(renewed_tables(part, schema, self.layout)))
            except ValueError as error:
                raise StorageError(
                    f"{self.store.url(key)} cannot get the columns the dataset has now: {error}.",
                    fix="Put it back from a copy of the dataset.",
                ) from error
        return True

    def _refuse_unknown(self, schema: pa.Schema) -> None:
        given = columns_of_parts([schema], self.layout.partition_by)
        unknown = [each for each in given if each.name not in self.layout.carried.names]
        if unknown:
            raise _UnknownColumns(pa.schema(unknown))

    def _held(self, tables: Iterator[pa.Table]) -> Iterator[pa.Table]:
        yield from tables
        self.require_hold()  # the last thing before the part is put


@contextmanager
def opened_part(store: Store, key: str) -> Iterator[pq.ParquetFile]:
    """Open a part from a copy on the local disk; raises StorageError, naming it, for one that is damaged."""
    with scratch_folder() as folder:
        path = folder / "part.parquet"
        store.fetch_file(key, path)
        try:
            with pq.ParquetFile(path) as part:
                yield part
        except (pa.ArrowInvalid, OSError) as error:
            raise damaged_part(store, key) from error


def damaged_part(store: Store, key: str) -> StorageError:
    """Give the error for a part that cannot be read."""
    return StorageError(
        f"{store.url(key)} is no sound Parquet file: it was cut off or altered.",
        fix="Put it back from a copy of the dataset; no reader can read the table as it is.",
    )


def renewed_tables(part: pq.ParquetFile, schema: pa.Schema, layout: DatasetLayout) -> Iterator[pa.Table]:
    """Give a part's row groups with the columns its table should have by a layout.

    Raises ValueError for a value that a type cannot hold.
    """
    names = _new_names(part.schema_arrow, layout)
    said = manifest_name(carried := carried_columns(layout.carried, layout.partition_by))
    for number in range(part.num_row_groups):
        table = part.read_row_group(number)
        table = table.rename_columns([names.get(name, name) for name in table.column_names])
        training = None if said is None else carried[said]
        yield pa.Table.from_arrays([_column(table, each, training) for each in schema], schema=schema)


def _new_names(part: pa.Schema, layout: DatasetLayout) -> dict[str, str]:
    """Give what columns of a manifest are called now whose names ours have taken since a part was written."""
    if schema_version(part) == SCHEMA_VERSION or "attempt_token" not in part.names:
        return {}
    carried = carried_columns(layout.carried, layout.partition_by)
    given = manifest_names(part, layout.partition_by)
    return {column: carried[name] for column, name in given.items() if name in carried}


def _column(table: pa.Table, wanted: pa.Field, training: str | None) -> pa.ChunkedArray | pa.Array:
    """Give a column as it should be; `training` names the one in which the manifest says `ai_training`."""
    if wanted.name in table.column_names:
        found = table.column(wanted.name)
        return found if found.type == wanted.type else column_array(found.to_pylist(), wanted.type)
    if wanted.name == "recipe":
        parts = (table.column(name).to_pylist() for name in ("stems", "quality", "format"))
        return pa.array(["-".join(each) for each in zip(*parts, strict=True)], pa.string())
    if wanted.name == "license_spdx" and "license" in table.column_names:
        return licenses_array(table.column("license"))
    if wanted.name == "ai_training":
        known = training in table.column_names
        return training_array(table.column(training) if known else pa.nulls(table.num_rows))
    return pa.nulls(table.num_rows, wanted.type)
