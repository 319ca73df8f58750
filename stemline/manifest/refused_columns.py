"""Columns of a manifest that cannot be carried as they are: refused by name before anything is spent."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import product

import duckdb
import pyarrow.parquet as pq

from stemline.errors import ManifestError
from stemline.manifest.manifest_file import ManifestFile, ManifestForm
from stemline.manifest.value_forms import literal

_OWN_PREFIX = "__stemline_"
_LONGEST_DECIMAL = 38
_MOST_MILLISECONDS = 2**63 // 1000
"""A timestamp of 64 bits is read in microseconds."""


def refuse_own_names(names: Iterable[str], file: ManifestFile) -> None:
    """Raise ManifestError for a column named like one of those that are added to every manifest."""
    for name in names:
        if name.strip().lower().startswith(_OWN_PREFIX):
            raise ManifestError(
                f'The manifest "{file.source.manifest}" has a column "{name}"; names that begin with {_OWN_PREFIX} '
                "are taken.",
                fix="Rename it.",
            )


def refuse_long_decimals(
    database: duckdb.DuckDBPyConnection, file: ManifestFile, paths: Sequence[str]
) -> None:
    """Raise ManifestError for a Parquet column of decimals that would be read as something less exact."""
    if file.form is not ManifestForm.PARQUET:
        return
    names = ", ".join(map(literal, paths))
    found = database.execute(
        f"SELECT name, precision FROM parquet_schema([{names}]) WHERE precision > {_LONGEST_DECIMAL} LIMIT 1"
    ).fetchone()
    if found is not None:
        raise ManifestError(
            f'The manifest "{file.source.manifest}" has decimals of {found[1]} digits in column "{found[0]}"; '
            f"{_LONGEST_DECIMAL} are the most that are kept exactly.",
            fix="Write the column as text.",
        )


def far_instants(file: ManifestFile | None) -> list[str]:
    """Name the Parquet columns of milliseconds that hold instants which no count of microseconds reaches.

    Read of the statistics beside the rows: no row of such a file can be read.
    """
    found: dict[str, None] = {}
    if file is None or file.form is not ManifestForm.PARQUET:
        return []
    for path in file.parts or (file.path,):
        with file.file_system.open(path, "rb") as opened, pq.ParquetFile(opened) as part:
            told = part.metadata
            for group, place in product(range(told.num_row_groups), range(told.num_columns)):
                column = told.row_group(group).column(place)
                if _is_far(told.schema.column(place), column.statistics):
                    found[f'"{column.path_in_schema}"'] = None
    return list(found)


def _is_far(column: pq.ColumnSchema, statistics: pq.Statistics | None) -> bool:
    if "milliseconds" not in str(column.logical_type) or statistics is None or not statistics.has_min_max:
        return False
    return bool(max(abs(statistics.min_raw), abs(statistics.max_raw)) > _MOST_MILLISECONDS)
