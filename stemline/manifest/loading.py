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
from stemline.manifest.column_types import TypedColumns, literal, quoted, type_columns
from stemline.manifest.expression import shut
from stemline.manifest.lines import LINE, PROBLEM, ROW, read_objects, read_table, text_of
from stemline.manifest.listing import GLOB, NAME_PROBLEM
from stemline.manifest.manifest_file import (
    ManifestFile,
    ManifestForm,
    find_manifest,
    first_line,
    is_local,
)
from stemline.manifest.manifest_source import ManifestSource
from stemline.manifest.view import (
    INTERNAL,
    OURS,
    TEXT_NAMES,
    ManifestColumns,
    create_bad_rows,
    create_view,
    sort_columns,
)
from stemline.wording import passed_over_sentence

_CONFIG: dict[str, str | bool | int | float | list[str]] = {
    "memory_limit": "256MB",
    "threads": 2,
    "autoinstall_known_extensions": False,
}
_PARTS_OPTIONS = "union_by_name = true, hive_partitioning = true, hive_types_autocast = false"
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
    typed: TypedColumns
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
            written = _load(database, file)
            names = [
                name for name in database.sql("SELECT * FROM raw LIMIT 0").columns if name not in INTERNAL
            ]
            _refuse_empty(database, file)
            columns = sort_columns(names, file)
            typed = type_columns(database, columns.carried, source, written or _texts(file, names))
            create_view(database, columns, typed, file.base)
            bad_rows = create_bad_rows(database) if with_bad_rows else 0
            shut(database, _read_later(file))
        except _READING as error:
            raise ManifestError(
                f'The manifest "{source.manifest}" cannot be read: {first_line(error)}.',
                fix="Check that it is complete and of the form its name says.",
            ) from error
        yield LoadedManifest(database, file, columns, typed, bad_rows)


def _texts(file: ManifestFile, names: Iterable[str]) -> dict[str, frozenset[str]]:
    """Name the columns whose type is to be found among their texts."""
    is_text = file.form in (ManifestForm.CSV, ManifestForm.TSV)
    untyped = [name for name in names if is_text and name.strip().lower() not in TEXT_NAMES]
    return {"text": frozenset(untyped), "number": frozenset()}


def _refuse_empty(database: duckdb.DuckDBPyConnection, file: ManifestFile) -> None:
    if database.execute("SELECT 1 FROM raw LIMIT 1").fetchall():
        return
    what = "rows" if file.listing is None else "audio files"
    others = "" if file.listing is None else passed_over_sentence(file.listing.passed_over)
    raise ManifestError(
        f'The manifest "{file.source.manifest}" holds no {what}{f" ({others})" if others else ""}.',
        fix="Check catalogue.manifest.",
    )


def _load(database: duckdb.DuckDBPyConnection, file: ManifestFile) -> dict[str, frozenset[str]] | None:
    """Create `raw`: the row number, what is wrong with the row, and the manifest's columns.

    Names the columns that are read as text and are something else, where the form tells.
    """
    if file.form is ManifestForm.PARQUET:
        _load_parquet(database, file)
    elif file.listing is not None:
        _store(
            database,
            file.listing.read(),
            f"row_number() OVER (ORDER BY uri) AS {ROW}, 'Row ' || {ROW} || ' ' || {NAME_PROBLEM} AS {PROBLEM}, "
            f"* EXCLUDE ({NAME_PROBLEM})",
        )
    elif file.form is ManifestForm.JSONL:
        return {"text": frozenset(), "number": _load_jsonl(database, file)}
    else:
        with _opened(file) as stream:
            reader = read_table(text_of(stream), is_tab_separated=file.form is ManifestForm.TSV)
            _store(database, reader, f"{ROW}, {PROBLEM}, nullif(COLUMNS(* EXCLUDE ({ROW}, {PROBLEM})), '')")
    return None


def _opened(file: ManifestFile) -> Any:  # noqa: ANN401 - fsspec ships no types
    compression = "gzip" if file.source.is_gzipped else None
    return fsspec.core.OpenFile(file.file_system, file.path, mode="rb", compression=compression)


def _store(database: duckdb.DuckDBPyConnection, reader: pa.RecordBatchReader, selection: str) -> None:
    database.register("incoming", reader)
    database.execute(f"CREATE TABLE raw AS SELECT {selection} FROM incoming")
    database.unregister("incoming")


def _load_parquet(database: duckdb.DuckDBPyConnection, file: ManifestFile) -> None:
    if not is_local(file.file_system):
        database.register_filesystem(file.file_system)
    paths = _parquet_paths(file)
    names = ", ".join(literal(_as_glob(path)) for path in paths)
    options = "hive_partitioning = false" if len(paths) == 1 else _PARTS_OPTIONS
    rows = f"read_parquet([{names}], {options})"
    is_taken = "file_row_number" in database.sql(f"SELECT * FROM {rows} LIMIT 0").columns
    number = "row_number() OVER ()" if is_taken or len(paths) > 1 else "file_row_number + 1"
    database.execute(
        f"CREATE VIEW raw AS SELECT {number} AS {ROW}, NULL::VARCHAR AS {PROBLEM}, * FROM {rows}"
    )


def _parquet_paths(file: ManifestFile) -> list[str]:
    paths = list(file.parts or (file.path,))
    if is_local(file.file_system):
        return paths
    return [str(file.file_system.unstrip_protocol(path)) for path in paths]


def _as_glob(path: str) -> str:
    return GLOB.sub(r"[\g<0>]", path)


def _read_later(file: ManifestFile) -> list[str]:
    """Name the files that are read as the rows are: what DuckDB is asked for, and what it opens for that."""
    if file.form is not ManifestForm.PARQUET:
        return []
    paths = _parquet_paths(file)
    return [*paths, *(glob for path in paths if (glob := _as_glob(path)) != path)]


def _load_jsonl(database: duckdb.DuckDBPyConnection, file: ManifestFile) -> frozenset[str]:
    """Create `raw` of a jsonl; name the columns of numbers, which are read as text."""
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
        f"SELECT json_structure({LINE})::VARCHAR, min({ROW}) FROM raw WHERE {LINE} IS NOT NULL GROUP BY 1 ORDER BY 2"
    )
    members = merge_structures(text for text, _ in objects.fetchall())
    if not members:
        return frozenset()
    names = _member_names(members)
    numbers = {key for key, kind in members.items() if kind in _NUMBERS}
    types = {
        key: _TEXT if key in numbers or _is_too_large(database, key, kind) else kind
        for key, kind in members.items()
    }
    shown = ", ".join(f"{_member(key, kind)} AS {quoted(names[key])}" for key, kind in types.items())
    database.execute("ALTER TABLE raw RENAME TO line")
    database.execute(f"CREATE TABLE raw AS SELECT {ROW}, {PROBLEM}, {shown} FROM line")
    database.execute("DROP TABLE line")
    return frozenset(names[key] for key in numbers)


def _member(key: str, kind: JsonStructure) -> str:
    """Give the SQL of one member of a JSON object; one without a value is null."""
    value = f"json_extract({LINE}, {_pointer(key)})"
    return f"from_json({value}, {literal(json.dumps(kind))})"


def _pointer(key: str) -> str:
    return literal("/" + key.replace("~", "~0").replace("/", "~1"))


def _is_too_large(database: duckdb.DuckDBPyConnection, key: str, kind: JsonStructure) -> bool:
    """Tell whether a nested member holds whole numbers that its numbers' type would change."""
    if isinstance(kind, str):
        return False
    digits = 16 if '"DOUBLE"' in json.dumps(kind) else 19
    value = f"json_extract({LINE}, {_pointer(key)})::VARCHAR"
    found = database.execute(
        f"SELECT 1 FROM raw WHERE regexp_matches({value}, '(^|[^0-9.eE])[0-9]{{{digits},}}($|[^0-9.eE])') LIMIT 1"
    )
    return bool(found.fetchall())


def _member_names(keys: Iterable[str]) -> dict[str, str]:
    """Give each key a column's name of its own: DuckDB and others see no difference in case."""
    names: dict[str, str] = {}
    taken: set[str] = set()
    for place, key in enumerate(keys, start=1):
        name, number = key.strip() or f"column_{place}", 2
        while name.lower() in taken:
            name, number = f"{key.strip()}_{number}", number + 1
        taken.add(name.lower())
        names[key] = name
    return names


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
        names = {name.lower() for name in kind}
        if len(names) < len(kind) or "" in names:
            return _TEXT  # not every reader could tell its members apart
        return {name: _concrete(inner) for name, inner in kind.items()} or _TEXT
    if isinstance(kind, list):
        return [_concrete(inner) for inner in kind] or [_TEXT]
    return _TEXT if kind in (_NOTHING, "JSON") else "BIGINT" if kind in ("UBIGINT", "HUGEINT") else kind
