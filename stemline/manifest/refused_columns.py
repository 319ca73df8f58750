"""Columns of a manifest that cannot be carried as they are: refused by name before anything is spent."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import duckdb

from stemline.errors import ManifestError
from stemline.manifest.manifest_file import ManifestFile, ManifestForm
from stemline.manifest.value_forms import literal

_OWN_PREFIX = "__stemline_"
_LONGEST_DECIMAL = 38


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
