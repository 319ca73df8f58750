"""A manifest loaded into DuckDB, ready to be filtered and streamed.

The database is a temporary file under a memory limit, so disk alone bounds the size of a manifest.
A parquet manifest is read where it is; the other forms are parsed once into a table.
"""

from __future__ import annotations

import json
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import duckdb
import fsspec
import pyarrow as pa

from stemline.errors import ManifestError
from stemline.manifest.lines import LINE, ROW, TROUBLE, read_objects, read_table, text_of
from stemline.manifest.listing import read_listing
from stemline.manifest.shape import merged_shape
from stemline.manifest.source import Form, Place, Source, find, first_line, is_local
from stemline.manifest.view import (
    INTERNAL,
    Columns,
    create_verdicts,
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


@dataclass(frozen=True, slots=True)
class Catalogue:
    """An open manifest: the view `manifest`, the table `verdict`, the roles of the columns."""

    database: duckdb.DuckDBPyConnection
    place: Place
    columns: Columns
    verdicts: int
    """How many rows are bad whatever is asked for."""


@contextmanager
def open_catalogue(source: Source, *, is_judged: bool = True) -> Iterator[Catalogue]:
    """Give a manifest ready to be filtered; `is_judged=False` skips the search for repeated ids.

    Raises `ManifestError` when the manifest as a whole cannot be used.
    """
    place = find(source)
    with (
        tempfile.TemporaryDirectory(prefix="stemline-manifest-") as folder,
        duckdb.connect(f"{folder}/manifest.db", config=_CONFIG) as database,
    ):
        database.execute("SET TimeZone = 'UTC'; SET enable_progress_bar = false")
        try:
            _load(database, place)
            names = [
                name for name in database.sql("SELECT * FROM raw LIMIT 0").columns if name not in INTERNAL
            ]
            _refuse_empty(database, place)
            columns = sort_columns(names, place)
            is_text = place.form in (Form.CSV, Form.TSV)
            create_view(database, columns, infer_types(database, names) if is_text else {}, place.base)
            verdicts = create_verdicts(database) if is_judged else 0
        except _READING as error:
            raise ManifestError(
                f'The manifest "{source.manifest}" cannot be read: {first_line(error)}.',
                fix="Check that it is complete and of the form its name says.",
            ) from error
        yield Catalogue(database, place, columns, verdicts)


def _refuse_empty(database: duckdb.DuckDBPyConnection, place: Place) -> None:
    if database.execute("SELECT 1 FROM raw LIMIT 1").fetchall():
        return
    what = "audio files" if place.form is Form.LISTING else "rows"
    raise ManifestError(
        f'The manifest "{place.source.manifest}" holds no {what}.', fix="Check catalogue.manifest."
    )


def _load(database: duckdb.DuckDBPyConnection, place: Place) -> None:
    """Create `raw`: the row number, what is wrong with the row, and the manifest's columns."""
    if place.form is Form.PARQUET:
        _load_parquet(database, place)
    elif place.form is Form.LISTING:
        _store(
            database,
            read_listing(place),
            f"row_number() OVER (ORDER BY uri) AS {ROW}, NULL::VARCHAR AS {TROUBLE}, *",
        )
    elif place.form is Form.JSONL:
        _load_jsonl(database, place)
    else:
        with _opened(place) as stream:
            reader = read_table(text_of(stream), is_tab_separated=place.form is Form.TSV)
            _store(database, reader, f"{ROW}, {TROUBLE}, nullif(COLUMNS(* EXCLUDE ({ROW}, {TROUBLE})), '')")


def _opened(place: Place) -> Any:  # noqa: ANN401 - fsspec ships no types
    compression = "gzip" if place.source.is_gzipped else None
    return fsspec.core.OpenFile(place.file_system, place.path, mode="rb", compression=compression)


def _store(database: duckdb.DuckDBPyConnection, reader: pa.RecordBatchReader, selection: str) -> None:
    database.register("incoming", reader)
    database.execute(f"CREATE TABLE raw AS SELECT {selection} FROM incoming")
    database.unregister("incoming")


def _load_parquet(database: duckdb.DuckDBPyConnection, place: Place) -> None:
    path = place.path
    if not is_local(place.file_system):
        database.register_filesystem(place.file_system)
        path = str(place.file_system.unstrip_protocol(path))
    rows = f"read_parquet({literal(path)}, hive_partitioning = false)"
    is_taken = "file_row_number" in database.sql(f"SELECT * FROM {rows} LIMIT 0").columns
    number = "row_number() OVER ()" if is_taken else "file_row_number + 1"
    database.execute(
        f"CREATE VIEW raw AS SELECT {number} AS {ROW}, NULL::VARCHAR AS {TROUBLE}, * FROM {rows}"
    )


def _load_jsonl(database: duckdb.DuckDBPyConnection, place: Place) -> None:
    with _opened(place) as stream:
        sound = f"CASE WHEN json_valid({LINE}) THEN json_type({LINE}) = 'OBJECT' ELSE false END"
        trouble = f"coalesce({TROUBLE}, 'Row ' || {ROW} || ' is no JSON object; write one object a line.')"
        _store(
            database,
            read_objects(text_of(stream)),
            f"""{ROW}, CASE WHEN {sound} THEN NULL ELSE {trouble} END AS {TROUBLE},
                CASE WHEN {sound} THEN {LINE} END::JSON AS {LINE}""",
        )
    objects = database.execute(
        f"SELECT DISTINCT json_structure({LINE})::VARCHAR FROM raw WHERE {LINE} IS NOT NULL"
    )
    shape = merged_shape(text for (text,) in objects.fetchall())
    if not shape:
        return
    database.execute("ALTER TABLE raw RENAME TO line")
    database.execute(f"""
        CREATE TABLE raw AS
        SELECT {ROW}, {TROUBLE}, unnest(from_json({LINE}, {literal(json.dumps(shape))})) FROM line
    """)
    database.execute("DROP TABLE line")
