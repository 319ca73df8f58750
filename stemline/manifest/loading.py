"""A manifest loaded into DuckDB, ready to be filtered and read in batches.

The database is a temporary file under a memory limit, so disk alone bounds the size of a manifest.
A parquet manifest is read where it is; the other forms are parsed once into a table.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from difflib import get_close_matches

import duckdb

from stemline.errors import ConfigError, ManifestError
from stemline.library_words import in_our_words
from stemline.manifest.column_forms import ColumnForms, find_forms
from stemline.manifest.column_mapping import ColumnMapping, map_columns
from stemline.manifest.column_types import TypedColumns, type_columns
from stemline.manifest.day_order import rewrite_days
from stemline.manifest.expression import shut
from stemline.manifest.manifest_file import (
    ManifestFile,
    ManifestForm,
    find_manifest,
    first_line,
)
from stemline.manifest.manifest_source import ManifestSource
from stemline.manifest.passed_over import passed_over_sentence
from stemline.manifest.raw_table import MEGABYTES, files_read_later, load_raw, make_room
from stemline.manifest.refused_columns import far_instants
from stemline.manifest.value_forms import quoted
from stemline.manifest.view import (
    INTERNAL,
    TEXT_NAMES,
    ManifestColumns,
    create_bad_rows,
    create_view,
    sort_columns,
)
from stemline.settings.column_mapping import column_key

_CONFIG: dict[str, str | bool | int | float | list[str]] = {
    "memory_limit": f"{MEGABYTES}MB",
    "threads": 2,
    "autoinstall_known_extensions": False,
}
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
            numbers = load_raw(database, file)
            given = database.sql("SELECT * FROM raw LIMIT 0").columns
            make_room(database, len(given))
            _refuse_empty(database, file)
            given = [name for name in given if name not in INTERNAL]
            mapping = map_columns(database, source, given, is_listing=file.listing is not None)
            names = mapping.renamed(given)
            columns = sort_columns(names, file)
            _refuse_binary(database, source, columns.location)
            notes = tuple(rewrite_days(database, names, source))
            shut(database, files_read_later(file))
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
