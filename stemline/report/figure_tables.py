"""The columns of a dataset that figures are made of, copied once into a database on the local disk.

So each part is opened once, whatever is asked, and all figures are of one moment. Audio, offsets and what the manifest
carries are not read. What does not fit into DuckDB's share of memory stays on the disk.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa
import pyarrow.dataset as pads

from stemline.dataset.stored_tracks import rows_name
from stemline.errors import StorageError
from stemline.reader import StemsDataset
from stemline.report.part_columns import read_part_columns
from stemline.storage import disk_guarded, scratch_folder

MEMORY_BYTES = 192 << 20
TRIES = 5
"""How often all is read anew because parts were replaced meanwhile."""
_ROWS_AT_ONCE, _PARTS_AT_ONCE = 1_000, 256
_TABLES: Mapping[str, Mapping[str, str]] = {
    "tracks": {
        "track_id": "VARCHAR",
        "provider": "VARCHAR",
        "recipe": "VARCHAR",
        "bpm": "DOUBLE",
        "key": "VARCHAR",
        "bpm_source": "VARCHAR",
        "key_source": "VARCHAR",
        "duration_seconds": "DOUBLE",
        "artist": "VARCHAR",
        "title": "VARCHAR",
        "source_uri": "VARCHAR",
        "album": "VARCHAR",
        "credits_charged": "BIGINT",
        "license": "VARCHAR",
        "license_spdx": "VARCHAR",
        "ai_training": "VARCHAR",
        "split": "VARCHAR",
        "collected_on": "DATE",
    },
    "stems": {
        "track_id": "VARCHAR",
        "stem": "VARCHAR",
        "provider": "VARCHAR",
        "recipe": "VARCHAR",
        "format": "VARCHAR",
        "sample_rate": "INTEGER",
        "channels": "INTEGER",
        "size_bytes": "BIGINT",
        "verification": "VARCHAR",
        "silent_share": "DOUBLE",
        "clipped_share": "DOUBLE",
        "residual_db": "DOUBLE",
        "residual_of": "VARCHAR",
        "rms_dbfs": "DOUBLE",
        "peak_dbfs": "DOUBLE",
    },
}
"""The columns that are read, with their types in SQL; one that a dataset has not is null."""
_RECIPE_BEFORE = ("stems", "quality", "format")
"""What the first schema's tracks had in place of `recipe`."""


@dataclass(frozen=True, slots=True)
class FigureTables:
    """Tables `tracks` and `stems` to ask, of one moment."""

    dataset: StemsDataset
    connection: duckdb.DuckDBPyConnection
    files: Mapping[str, Sequence[str]]
    """The parts of each table as they were copied."""

    def rows(self, query: str, *parameters: object) -> list[tuple[Any, ...]]:
        """Give what DuckDB answers."""
        with telling(self.dataset):
            return self.connection.execute(query, list(parameters)).fetchall()

    def stream(self, query: str) -> Iterator[tuple[Any, ...]]:
        """Give what DuckDB answers, some rows at a time."""
        with telling(self.dataset):
            answer = self.connection.cursor().execute(query)
            while rows := answer.fetchmany(_ROWS_AT_ONCE):
                yield from rows


@contextmanager
def figure_tables(dataset: StemsDataset) -> Iterator[FigureTables]:
    """Copy the columns of a dataset, and give them to ask.

    Raises StorageError for a part that is damaged, and where parts are replaced faster than they can be read.
    """
    with scratch_folder() as folder, disk_guarded(folder):
        for number in range(TRIES):
            with _connected(folder, number) as connection:
                try:
                    files = {table: _copy(connection, dataset, table) for table in _TABLES}
                except (duckdb.Error, pa.ArrowException, OSError):
                    if dataset.refresh() and number + 1 < TRIES:
                        continue
                    with telling(dataset):
                        raise
                yield FigureTables(dataset, connection, files)
                return


@contextmanager
def _connected(folder: Path, number: int) -> Iterator[duckdb.DuckDBPyConnection]:
    settings: dict[str, str | bool | int | float | list[str]] = {
        "memory_limit": f"{MEMORY_BYTES >> 20}MB",
        "temp_directory": str(folder / f"duckdb-{number}"),
        "preserve_insertion_order": "false",
        "threads": 2,  # each works with memory of its own
    }
    with duckdb.connect(str(folder / f"figures-{number}.db"), config=settings) as connection:
        connection.execute("SET TimeZone = 'UTC'; SET enable_progress_bar = false")
        yield connection


def _copy(connection: duckdb.DuckDBPyConnection, dataset: StemsDataset, table: str) -> list[str]:
    """Copy the columns of a table; give its parts."""
    types, source = _TABLES[table], getattr(dataset, table)
    columns = ", ".join(f"{name} {kind}" for name, kind in types.items())
    connection.execute(f"CREATE TABLE {table} ({columns}, part INTEGER)")
    for rows in read_part_columns(source, tuple(dict.fromkeys((*types, *_RECIPE_BEFORE)))):
        connection.register("incoming", rows)
        selected = ", ".join(_selected(types, set(rows.column_names)))
        connection.execute(f"INSERT INTO {table} SELECT {selected}, part FROM incoming")
        connection.unregister("incoming")
    pa.default_memory_pool().release_unused()
    return list(getattr(source, "files", []))


def _selected(types: Mapping[str, str], there: set[str]) -> Iterator[str]:
    for name, kind in types.items():
        if name == "recipe" and there.issuperset(_RECIPE_BEFORE):
            known = "recipe" if name in there else "NULL"
            yield f"coalesce({known}, concat_ws('-', {', '.join(_RECIPE_BEFORE)})) AS recipe"
        elif name == "source_uri" and there.issuperset({"title", name}):  # it names those without a title
            yield f"CASE WHEN coalesce(title, '') = '' THEN {name} END AS {name}"
        elif name in there:
            yield f"CAST({name} AS {kind}) AS {name}"
        else:
            yield f"CAST(NULL AS {kind}) AS {name}"


@contextmanager
def telling(dataset: StemsDataset) -> Iterator[None]:
    """Say what could not be read as any other trouble with files is said."""
    try:
        yield
    except (duckdb.Error, pa.ArrowException, OSError) as error:
        line, _, _ = str(error).partition("\n")
        raise StorageError(
            f"The tables of {dataset.url} cannot be read: {line}",
            fix="`stemline verify` tells which parts are damaged; else see that the temporary folder has space.",
        ) from error


def selected_rows(
    tables: FigureTables, table: str, track_ids: Sequence[str], names: Sequence[str]
) -> list[dict[str, Any]]:
    """Give columns of the rows of a few tracks of `stems` or `activity`; one that the dataset has not is left out."""
    for number in range(TRIES):
        try:
            return _scanned(tables, table, track_ids, names)
        except (pa.ArrowException, OSError):
            if tables.dataset.refresh() and number + 1 < TRIES:
                continue
            with telling(tables.dataset):
                raise
    return []


def _scanned(
    tables: FigureTables, table: str, track_ids: Sequence[str], names: Sequence[str]
) -> list[dict[str, Any]]:
    source: pads.Dataset = getattr(tables.dataset, table)
    paths = _paths_of(tables, source, table, track_ids)
    rows: list[dict[str, Any]] = []
    for start in range(0, len(paths), _PARTS_AT_ONCE):  # each part that was opened stays in memory
        some = paths[start : start + _PARTS_AT_ONCE]
        parts = pads.dataset(some, schema=source.schema, format="parquet", filesystem=source.filesystem)
        scanner = parts.scanner(
            columns=[name for name in names if name in source.schema.names],
            filter=pads.field("track_id").isin(list(track_ids)),
            batch_size=_ROWS_AT_ONCE,
            batch_readahead=2,
            fragment_readahead=2,
        )
        rows += scanner.to_table().to_pylist()
    return rows


def _paths_of(
    tables: FigureTables, source: pads.Dataset, table: str, track_ids: Sequence[str]
) -> Sequence[str]:
    """Give the parts that may have rows of these tracks: those where they were, unless parts were replaced since."""
    files: list[str] = getattr(source, "files", [])
    if tables.files["stems"] != getattr(tables.dataset.stems, "files", []):
        return files
    marks = ", ".join("?" for _ in track_ids)
    found = tables.rows(f"SELECT DISTINCT part FROM stems WHERE track_id IN ({marks}) ORDER BY 1", *track_ids)
    stems = [tables.files["stems"][number] for (number,) in found]
    return stems if table == "stems" else _beside(stems, table, files)


def _beside(stems: Sequence[str], table: str, files: Sequence[str]) -> list[str]:
    """Give the parts of a table that may have the rows of these of stems: of their batch, else of their folder."""
    by_name: defaultdict[str, list[str]] = defaultdict(list)
    by_folder: defaultdict[str, list[str]] = defaultdict(list)
    for path in files:
        name = _rows_name(path, table)
        by_name[name].append(path)
        by_folder[name.rpartition("/")[0]].append(path)
    names = [_rows_name(path, "stems") for path in stems]
    found = (by_name.get(name) or by_folder.get(name.rpartition("/")[0], []) for name in names)
    return sorted({path for paths in found for path in paths})


def _rows_name(path: str, table: str) -> str:
    return rows_name(f"{table}/{f'/{path}'.rpartition(f'/{table}/')[2]}")
