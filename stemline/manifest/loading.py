"""A manifest loaded into DuckDB, ready to be filtered and read in batches.

The database is a temporary file under a memory limit, so disk alone bounds the size of a manifest.
A parquet manifest is read where it is; the other forms are parsed once into a table.
"""

from __future__ import annotations

import json
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import duckdb
import fsspec
import pyarrow as pa

from stemline.errors import ManifestError
from stemline.manifest.lines import LINE, PROBLEM, ROW, read_objects, read_table, text_of
from stemline.manifest.manifest_file import (
    ManifestFile,
    ManifestForm,
    find_manifest,
    first_line,
    is_local,
    read_listing,
)
from stemline.manifest.manifest_source import ManifestSource
from stemline.manifest.view import (
    INTERNAL,
    OURS,
    TEXT_NAMES,
    ManifestColumns,
    create_bad_rows,
    create_view,
    infer_types,
    literal,
    sort_columns,
)

_CONFIG: dict[str, str | bool | int | float | list[str]] = {
    "memory_limit": "256MB",
    "threads": 2,
    "autoinstall_known_extensions": False,
}
_READING = (OSError, ValueError, EOFError, duckdb.Error)

JsonStructure = str | list["JsonStructure"] | dict[str, "JsonStructure"]
"""Types of JSON values as DuckDB's json_structure writes them: a name, a list's element, an object's members."""

_NOTHING = "NULL"
_TEXT = "VARCHAR"
_NUMBERS = ("UBIGINT", "BIGINT", "HUGEINT", "DOUBLE")
"""From narrow to wide; text is what nothing narrower holds."""


@dataclass(frozen=True, slots=True)
class LoadedManifest:
    """An open manifest: the view `manifest`, the table `bad_row`, the roles of the columns."""

    database: duckdb.DuckDBPyConnection
    file: ManifestFile
    columns: ManifestColumns
    bad_rows: int
    """How many rows are bad whatever is asked for."""


@contextmanager
def load_manifest(source: ManifestSource, *, with_bad_rows: bool = True) -> Iterator[LoadedManifest]:
    """Give a manifest ready to be filtered; `with_bad_rows=False` skips the search for bad rows.

    Raises `ManifestError` when the manifest as a whole cannot be used.
    """
    file = find_manifest(source)
    with (
        tempfile.TemporaryDirectory(prefix="stemline-manifest-") as folder,
        duckdb.connect(f"{folder}/manifest.db", config=_CONFIG) as database,
    ):
        database.execute("SET TimeZone = 'UTC'; SET enable_progress_bar = false")
        try:
            _load(database, file)
            names = [
                name for name in database.sql("SELECT * FROM raw LIMIT 0").columns if name not in INTERNAL
            ]
            _refuse_empty(database, file)
            columns = sort_columns(names, file)
            is_text = file.form in (ManifestForm.CSV, ManifestForm.TSV)
            create_view(database, columns, infer_types(database, names) if is_text else {}, file.base)
            bad_rows = create_bad_rows(database) if with_bad_rows else 0
        except _READING as error:
            raise ManifestError(
                f'The manifest "{source.manifest}" cannot be read: {first_line(error)}.',
                fix="Check that it is complete and of the form its name says.",
            ) from error
        yield LoadedManifest(database, file, columns, bad_rows)


def _refuse_empty(database: duckdb.DuckDBPyConnection, file: ManifestFile) -> None:
    if database.execute("SELECT 1 FROM raw LIMIT 1").fetchall():
        return
    what = "audio files" if file.form is ManifestForm.LISTING else "rows"
    raise ManifestError(
        f'The manifest "{file.source.manifest}" holds no {what}.', fix="Check catalogue.manifest."
    )


def _load(database: duckdb.DuckDBPyConnection, file: ManifestFile) -> None:
    """Create `raw`: the row number, what is wrong with the row, and the manifest's columns."""
    if file.form is ManifestForm.PARQUET:
        _load_parquet(database, file)
    elif file.form is ManifestForm.LISTING:
        _store(
            database,
            read_listing(file),
            f"row_number() OVER (ORDER BY uri) AS {ROW}, NULL::VARCHAR AS {PROBLEM}, *",
        )
    elif file.form is ManifestForm.JSONL:
        _load_jsonl(database, file)
    else:
        with _opened(file) as stream:
            reader = read_table(text_of(stream), is_tab_separated=file.form is ManifestForm.TSV)
            _store(database, reader, f"{ROW}, {PROBLEM}, nullif(COLUMNS(* EXCLUDE ({ROW}, {PROBLEM})), '')")


def _opened(file: ManifestFile) -> Any:  # noqa: ANN401 - fsspec ships no types
    compression = "gzip" if file.source.is_gzipped else None
    return fsspec.core.OpenFile(file.file_system, file.path, mode="rb", compression=compression)


def _store(database: duckdb.DuckDBPyConnection, reader: pa.RecordBatchReader, selection: str) -> None:
    database.register("incoming", reader)
    database.execute(f"CREATE TABLE raw AS SELECT {selection} FROM incoming")
    database.unregister("incoming")


def _load_parquet(database: duckdb.DuckDBPyConnection, file: ManifestFile) -> None:
    path = file.path
    if not is_local(file.file_system):
        database.register_filesystem(file.file_system)
        path = str(file.file_system.unstrip_protocol(path))
    rows = f"read_parquet({literal(path)}, hive_partitioning = false)"
    is_taken = "file_row_number" in database.sql(f"SELECT * FROM {rows} LIMIT 0").columns
    number = "row_number() OVER ()" if is_taken else "file_row_number + 1"
    database.execute(
        f"CREATE VIEW raw AS SELECT {number} AS {ROW}, NULL::VARCHAR AS {PROBLEM}, * FROM {rows}"
    )


def _load_jsonl(database: duckdb.DuckDBPyConnection, file: ManifestFile) -> None:
    with _opened(file) as stream:
        sound = f"CASE WHEN json_valid({LINE}) THEN json_type({LINE}) = 'OBJECT' ELSE false END"
        problem = f"coalesce({PROBLEM}, 'Row ' || {ROW} || ' is no JSON object; write one object a line.')"
        _store(
            database,
            read_objects(text_of(stream)),
            f"""{ROW}, CASE WHEN {sound} THEN NULL ELSE {problem} END AS {PROBLEM},
                CASE WHEN {sound} THEN {LINE} END::JSON AS {LINE}""",
        )
    objects = database.execute(
        f"SELECT DISTINCT json_structure({LINE})::VARCHAR FROM raw WHERE {LINE} IS NOT NULL"
    )
    members = merge_structures(text for (text,) in objects.fetchall())
    if not members:
        return
    database.execute("ALTER TABLE raw RENAME TO line")
    database.execute(f"""
        CREATE TABLE raw AS
        SELECT {ROW}, {PROBLEM}, unnest(from_json({LINE}, {literal(json.dumps(members))})) FROM line
    """)
    database.execute("DROP TABLE line")


def merge_structures(structures: Iterable[str]) -> dict[str, JsonStructure]:
    """Give the members of all objects with types that hold every value of theirs.

    Members of mixed types, members that are null throughout, and those that are text by meaning are text.
    """
    members: dict[str, JsonStructure] = {}
    for structure in map(json.loads, structures):
        # An object without members has no structure of its own.
        for name, kind in structure.items() if isinstance(structure, dict) else ():
            members[name] = _merge(members.get(name, _NOTHING), kind)
    texts = TEXT_NAMES.union(OURS)
    return {name: _TEXT if name.lower() in texts else _concrete(kind) for name, kind in members.items()}


def _merge(one: JsonStructure, other: JsonStructure) -> JsonStructure:
    if _NOTHING in (one, other):
        return other if one == _NOTHING else one
    if isinstance(one, dict) and isinstance(other, dict):
        return {name: _merge(one.get(name, _NOTHING), other.get(name, _NOTHING)) for name in {**one, **other}}
    if isinstance(one, list) and isinstance(other, list):
        return [_merge(one[0] if one else _NOTHING, other[0] if other else _NOTHING)]
    if one in _NUMBERS and other in _NUMBERS:
        return max(one, other, key=lambda kind: _NUMBERS.index(str(kind)))
    return one if one == other else _TEXT


def _concrete(kind: JsonStructure) -> JsonStructure:
    if isinstance(kind, dict):
        return {name: _concrete(inner) for name, inner in kind.items()} or _TEXT
    if isinstance(kind, list):
        return [_concrete(inner) for inner in kind] or [_TEXT]
    return _TEXT if kind in (_NOTHING, "JSON") else kind
