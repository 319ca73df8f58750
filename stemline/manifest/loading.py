"""A manifest loaded into DuckDB, ready to be filtered and read in batches.

The database is a temporary file under a memory limit, so disk alone bounds the size of a manifest.
A parquet manifest is read where it is; the other forms are parsed once into a table.
"""

from __future__ import annotations

import json
import os
import tempfile
from collections.abc import Iterable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from difflib import get_close_matches
from typing import Any

import duckdb
import fsspec
import pyarrow as pa

from stemline.errors import ConfigError, ManifestError
from stemline.library_words import in_our_words
from stemline.manifest.column_forms import ColumnForms, find_forms
from stemline.manifest.column_mapping import ColumnMapping, map_columns
from stemline.manifest.column_types import TypedColumns, type_columns
from stemline.manifest.day_order import rewrite_days
from stemline.manifest.expression import shut
from stemline.manifest.json_structure import NUMBERS, TEXT, JsonStructure, member_names, merge_structures
from stemline.manifest.lines import LINE, PROBLEM, ROW, read_objects, read_table, text_of
from stemline.manifest.listing import GLOB, NAME_PROBLEM
from stemline.manifest.manifest_file import (
    ManifestFile,
    ManifestForm,
    find_manifest,
    first_line,
    is_local,
)
from stemline.manifest.manifest_source import LOCATION_NAMES, ManifestSource, is_undecided
from stemline.manifest.passed_over import passed_over_sentence
from stemline.manifest.refused_columns import far_instants, refuse_long_decimals, refuse_own_names
from stemline.manifest.value_forms import literal, quoted
from stemline.manifest.view import (
    INTERNAL,
    OURS,
    TEXT_NAMES,
    ManifestColumns,
    create_bad_rows,
    create_view,
    sort_columns,
)
from stemline.settings.column_mapping import column_key

_MEGABYTES = 256
_MEGABYTES_A_COLUMN = 0.25
"""A query holds two thousand values of every column at each of its steps, on each of its threads."""
_CONFIG: dict[str, str | bool | int | float | list[str]] = {
    "memory_limit": f"{_MEGABYTES}MB",
    "threads": 2,
    "autoinstall_known_extensions": False,
}
_PARTS_OPTIONS = "union_by_name = true, hive_partitioning = true, hive_types_autocast = false"
_PYTHONS = "Traceback (most recent call last)"
"""What DuckDB's text has where a file system of Python's does not give the file."""
_READING = (OSError, ValueError, EOFError, duckdb.Error)


@dataclass(frozen=True, slots=True)
class LoadedManifest:
    """An open manifest: the view `manifest`, the table `bad_row`, the roles of the columns."""

    database: duckdb.DuckDBPyConnection
    file: ManifestFile
    columns: ManifestColumns
    typed: TypedColumns
    bad_rows: int
    """How many rows are bad whatever is asked for."""


@dataclass(frozen=True, slots=True)
class ParsedManifest:
    """A manifest parsed into the table `raw`, by an engine that reaches nothing else; `close` lets its disk go."""

    database: duckdb.DuckDBPyConnection
    file: ManifestFile
    columns: ManifestColumns
    mapping: ColumnMapping
    forms: ColumnForms
    """What the values of each carried column have in common."""
    notes: tuple[str, ...]
    """What a person should know of how it is read, in sentences."""
    closing: ExitStack

    def close(self) -> None:
        """Close it; it may be closed already."""
        self.closing.close()


@contextmanager
def load_manifest(source: ManifestSource, *, with_bad_rows: bool = True) -> Iterator[LoadedManifest]:
    """Give a manifest ready to be filtered; `with_bad_rows=False` skips the search for bad rows.

    Raises `ManifestError` when the manifest as a whole cannot be used.
    """
    parsed = source.parsed or parse_manifest(source)
    try:
        with refusing(source, parsed.file):
            loaded = _prepare(parsed, source, with_bad_rows=with_bad_rows)
        yield loaded
    finally:
        if source.parsed is None:
            parsed.close()


def parse_manifest(source: ManifestSource) -> ParsedManifest:
    """Parse a manifest, to be loaded as often as need be.

    Raises `ManifestError` when the manifest as a whole cannot be used.
    """
    file = find_manifest(source)
    with ExitStack() as stack:
        folder = stack.enter_context(tempfile.TemporaryDirectory(prefix="stemline-manifest-"))
        database = stack.enter_context(duckdb.connect(f"{folder}/manifest.db", config=_CONFIG))
        database.execute("SET TimeZone = 'UTC'; SET enable_progress_bar = false")
        with refusing(source, file):
            numbers = _load(database, file)
            given = database.sql("SELECT * FROM raw LIMIT 0").columns
            _make_room(database, len(given))
            _refuse_empty(database, file)
            given = [name for name in given if name not in INTERNAL]
            mapping = map_columns(database, source, given, is_listing=file.listing is not None)
            names = mapping.renamed(given)
            columns = sort_columns(names, file)
            _refuse_binary(database, source, columns.location)
            notes = tuple(rewrite_days(database, names, source))
            shut(database, _read_later(file))
        texts = _texts(file, names) if numbers is None else {"text": frozenset[str](), "number": numbers}
        with refusing(source):
            forms = find_forms(database, list(columns.carried.values()), texts)
        return ParsedManifest(database, file, columns, mapping, forms, notes, stack.pop_all())


def _refuse_unknown_types(parsed: ParsedManifest, source: ManifestSource) -> None:
    """Refuse a column of `catalogue.types` that neither the manifest nor the dataset has."""
    kept = () if source.carried is None else source.carried.names
    known = {column_key(name): name for name in (*kept, *parsed.columns.names, *parsed.columns.carried)}
    for name in source.types:
        if column_key(name) not in known:
            (nearest,) = get_close_matches(column_key(name), list(known), 1, 0.0)
            raise ConfigError(
                f'catalogue.types names "{name}", which is no column of the manifest; the nearest is '
                f'"{known[nearest]}".',
                fix="Write the column as the manifest does, or take it out of catalogue.types.",
            )


def _refuse_binary(database: duckdb.DuckDBPyConnection, source: ManifestSource, location: str) -> None:
    """Refuse a Parquet column of locations that is bytes: some writers leave out that they are text."""
    if str(database.sql(f"SELECT {quoted(location)} FROM raw LIMIT 0").types[0]) == "BLOB":
        raise ManifestError(
            f'The column "{location}" of the manifest "{source.manifest}" is binary, and locations are text.',
            fix="Write it as text (in pandas: str, in Arrow: pa.string()), or name another column.",
        )


def _make_room(database: duckdb.DuckDBPyConnection, columns: int) -> None:
    """Allow a manifest of hundreds of columns the memory that a few rows of it take."""
    database.execute(f"SET memory_limit = '{_MEGABYTES + int(columns * _MEGABYTES_A_COLUMN)}MB'")


def has_priorities(source: ManifestSource) -> bool:
    """Tell whether any row of a manifest says that it comes before or behind others."""
    parsed = source.parsed or parse_manifest(source)
    try:
        name = parsed.columns.ours.get("priority")
        if name is None:
            return False
        priority = f"TRY_CAST(trim({quoted(name)}::VARCHAR) AS DOUBLE)"
        with refusing(source, parsed.file):
            found = parsed.database.execute(f"SELECT 1 FROM raw WHERE {priority} <> 0 LIMIT 1").fetchall()
        return bool(found)
    finally:
        if source.parsed is None:
            parsed.close()


def _prepare(parsed: ParsedManifest, source: ManifestSource, *, with_bad_rows: bool) -> LoadedManifest:
    """Create the view and the table that rows are read from, in place of those of an earlier loading."""
    database, columns = parsed.database, parsed.columns
    source = parsed.mapping.apply(source)
    if parsed.file.listing is None:
        _refuse_unknown_types(parsed, source)
    typed = type_columns(database, columns.carried, source, parsed.forms)
    create_view(database, columns, typed, parsed.file.base, parsed.mapping.aliases)
    bad_rows = create_bad_rows(database) if with_bad_rows else 0
    return LoadedManifest(database, replace(parsed.file, source=source), columns, typed, bad_rows)


@contextmanager
def refusing(source: ManifestSource, file: ManifestFile | None = None) -> Iterator[None]:
    """Say of what cannot be read that it cannot, and of instants that are out of all range in which column they are."""
    try:
        yield
    except _READING as error:
        if source.is_web and (isinstance(error, FileNotFoundError) or _PYTHONS in str(error)):
            raise _out_of_reach(source, error) from error
        fix = "Check that it is complete and of the form its name says."
        if isinstance(error, UnicodeError):
            fix = "Save it as UTF-8: a spreadsheet program calls it CSV UTF-8."
        if isinstance(error, duckdb.ConversionException) and (names := far_instants(file)):
            fix = (
                f"Column {', '.join(names)} holds instants out of all range: write it as text, or empty them."
            )
        raise ManifestError(
            f'The manifest "{source.manifest}" cannot be read: {first_line(error)}.', fix=fix
        ) from error


def _out_of_reach(source: ManifestSource, error: BaseException) -> ManifestError:
    """Give the error of a manifest on the web that does not come: fsspec tells its address alone, its cause why."""
    away = getattr(error.__cause__, "os_error", error.__cause__)
    code = getattr(away, "errno", None) or 0
    reason = "nothing answers there, or it has nothing of that name"
    if code > 0 and isinstance(away, OSError):
        reason = in_our_words(os.strerror(code))
    elif away is not None:
        reason = first_line(away)
    return ManifestError(
        f'The manifest "{source.manifest}" cannot be reached: {reason}.',
        fix="Check the address in catalogue.manifest, and the network.",
    )


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


def _load(database: duckdb.DuckDBPyConnection, file: ManifestFile) -> frozenset[str] | None:
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


def _read_later(file: ManifestFile) -> list[str]:
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
    _make_room(database, len(members))
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
