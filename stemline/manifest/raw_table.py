"""The table `raw` of a manifest: row numbers, what is wrong with rows, and columns as the file has them."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import duckdb
import fsspec
import pyarrow as pa

from stemline.errors import ManifestError
from stemline.manifest.json_structure import NUMBERS, TEXT, JsonStructure, member_names, merge_structures
from stemline.manifest.lines import LINE, PROBLEM, ROW, read_objects, read_table, text_of
from stemline.manifest.listing import GLOB, NAME_PROBLEM
from stemline.manifest.manifest_file import (
    ManifestFile,
    ManifestForm,
    is_local,
)
from stemline.manifest.manifest_source import LOCATION_NAMES, ManifestSource, is_undecided
from stemline.manifest.refused_columns import refuse_long_decimals, refuse_own_names
from stemline.manifest.value_forms import literal, quoted
from stemline.manifest.view import (
    OURS,
    TEXT_NAMES,
)
from stemline.settings.column_mapping import column_key

MEGABYTES = 256
_MEGABYTES_A_COLUMN = 0.25
"""A query holds two thousand values of every column at each of its steps, on each of its threads."""
_PARTS_OPTIONS = "union_by_name = true, hive_partitioning = true, hive_types_autocast = false"


def load_raw(database: duckdb.DuckDBPyConnection, file: ManifestFile) -> frozenset[str] | None:
    """Create `raw`: the row number, what is wrong with the row, and the manifest's columns.

    Names the columns of numbers, by our names, that are read as text; None where the form tells of none.
    """
    if file.form is ManifestForm.PARQUET:
        load_parquet(database, file)
    elif file.listing is not None:
        _store(
            database,
            file.listing.read(),
            f"row_number() OVER (ORDER BY uri) AS {ROW}, 'Row ' || {ROW} || ' ' || {NAME_PROBLEM} AS {PROBLEM}, "
            f"* EXCLUDE ({NAME_PROBLEM})",
        )
    elif file.form is ManifestForm.JSONL:
        return _load_jsonl(database, file)
    else:
        with opened(file) as stream:
            known = {*LOCATION_NAMES, *map(column_key, file.source.columns.values())}
            is_tab_separated = file.form is ManifestForm.TSV
            reader = read_table(
                text_of(stream),
                is_tab_separated=is_tab_separated,
                known=known,
                passed_over=file.passed_over,
            )
            refuse_own_names(reader.schema.names[2:], file)  # behind those two
            _store(database, reader, f"{ROW}, {PROBLEM}, nullif(COLUMNS(* EXCLUDE ({ROW}, {PROBLEM})), '')")
    return None


def opened(file: ManifestFile) -> Any:  # noqa: ANN401 - fsspec ships no types
    """Give a manifest of text open for reading, unpacked."""
    compression = "gzip" if file.source.is_gzipped else None
    return fsspec.core.OpenFile(file.file_system, file.path, mode="rb", compression=compression)


def _store(database: duckdb.DuckDBPyConnection, reader: pa.RecordBatchReader, selection: str) -> None:
    database.register("incoming", reader)
    database.execute(f"CREATE TABLE raw AS SELECT {selection} FROM incoming")
    database.unregister("incoming")


def load_parquet(database: duckdb.DuckDBPyConnection, file: ManifestFile) -> None:
    """Create `raw` of a Parquet manifest: nothing but its metadata is read yet."""
    if not is_local(file.file_system):
        database.register_filesystem(file.file_system)
    paths = _parquet_paths(file)
    refuse_long_decimals(database, file, list(map(_as_glob, paths)))
    names = ", ".join(literal(_as_glob(path)) for path in paths)
    options = "hive_partitioning = false" if len(paths) == 1 else _PARTS_OPTIONS
    rows = f"read_parquet([{names}], {options})"
    given = database.sql(f"SELECT * FROM {rows} LIMIT 0").columns
    refuse_own_names(given, file)
    is_taken = "file_row_number" in given
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


def files_read_later(file: ManifestFile) -> list[str]:
    """Name the files that are read as the rows are: what DuckDB is asked for, and what it opens for that."""
    if file.form is not ManifestForm.PARQUET:
        return []
    paths = _parquet_paths(file)
    return [*paths, *(glob for path in paths if (glob := _as_glob(path)) != path)]


def _load_jsonl(database: duckdb.DuckDBPyConnection, file: ManifestFile) -> frozenset[str]:
    """Create `raw` of a jsonl; name the columns of numbers, which are read as text, by our names."""
    with opened(file) as stream:
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
    members = merge_structures((text for text, _ in objects.fetchall()), _kept_structures(file.source))
    if not members:
        _refuse_unreadable(database, file)
        return frozenset()
    make_room(database, len(members))
    names = member_names(members)
    refuse_own_names(names.values(), file)
    ours = {column_key(theirs): name for name, theirs in file.source.columns.items()}
    texts = {key for key in members if ours.get(column_key(key)) in {*TEXT_NAMES, *OURS}}
    numbers = {key for key, kind in members.items() if kind in NUMBERS and key not in texts}
    types = {
        key: TEXT if key in numbers | texts or _is_too_large(database, key, kind) else kind
        for key, kind in members.items()
    }
    database.execute("ALTER TABLE raw RENAME TO line")
    database.execute(f"CREATE TABLE raw AS {_members_query(types, names)}")
    database.execute("DROP TABLE line")
    return frozenset(ours.get(column_key(key), names[key]) for key in numbers)


def _refuse_unreadable(database: duckdb.DuckDBPyConnection, file: ManifestFile) -> None:
    """Say what is wrong with the first row of a manifest of which none can be read."""
    found = database.execute(
        f"SELECT {PROBLEM} FROM raw WHERE {PROBLEM} IS NOT NULL ORDER BY {ROW} LIMIT 1"
    ).fetchone()
    if found is not None:
        raise ManifestError(
            f'The manifest "{file.source.manifest}" holds no rows that can be read.', fix=str(found[0])
        )


def _kept_structures(source: ManifestSource) -> dict[str, JsonStructure]:
    """Give the members that the dataset's columns have; text for what has none."""
    kept = {
        source.columns.get(each.name, each.name): _structure(each.type)
        for each in source.carried or ()
        if not is_undecided(each)
    }
    return {**kept, **{name: TEXT for name, word in source.types.items() if word == "text"}}


def _structure(kind: pa.DataType) -> JsonStructure:
    if pa.types.is_struct(kind):
        return {inner.name: _structure(inner.type) for inner in kind}
    return [_structure(kind.value_type)] if pa.types.is_list(kind) else TEXT


def _members_query(types: Mapping[str, JsonStructure], names: Mapping[str, str]) -> str:
    """Give the SQL that makes columns of the objects in `line`; each object is parsed once, not once a column."""
    # As members of one struct two that differ in case are one, and one without a name is none.
    together = {key: kind for key, kind in types.items() if key and names[key] == key}
    structure = literal(json.dumps(together))
    shown = [
        f"{f'struct_extract(o, {literal(key)})' if key in together else _member(key, kind)} AS {quoted(names[key])}"
        for key, kind in types.items()
    ]
    parsed = f"from_json({LINE}, {structure})" if together else "NULL"
    return f"SELECT {ROW}, {PROBLEM}, {', '.join(shown)} FROM (SELECT *, {parsed} AS o FROM line)"


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


def make_room(database: duckdb.DuckDBPyConnection, columns: int) -> None:
    """Allow a manifest of hundreds of columns the memory that a few rows of it take."""
    database.execute(f"SET memory_limit = '{MEGABYTES + int(columns * _MEGABYTES_A_COLUMN)}MB'")
