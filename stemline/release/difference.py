"""Two releases compared: rows that came, went and changed, by track, provider and recipe, in bounded memory.

Parts that both have, byte for byte, are not looked at: what is in them is in both. DuckDB compares the others and keeps
on the disk what does not fit into its share of memory.
"""

from __future__ import annotations

from collections.abc import Container, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq

from stemline.errors import UsageError
from stemline.release.record import Release, list_releases, release_key, require_release
from stemline.rewrite.partfiles import fetched
from stemline.settings import Settings
from stemline.storage import Store, open_store, scratch_folder

MEMORY_BYTES = 384 << 20
_KEYS = ("track_id", "provider", "recipe", "stem")
_ORDER = ("attempt_token", "path", "collected_on")
"""Tells rows of one key apart, such as those of a track that was paid for twice."""
_NOT_COMPARED = ("audio",)
"""Large, and `sha256` tells whether it is another."""


@dataclass(frozen=True, slots=True)
class TableDifference:
    """What became of the rows of one table."""

    came: int = 0
    went: int = 0
    changed: int = 0
    same: int = 0
    columns: Mapping[str, int] = field(default_factory=dict)
    """In how many rows each column changed."""
    columns_came: Sequence[str] = ()
    columns_went: Sequence[str] = ()
    rows: Sequence[Mapping[str, Any]] = ()
    """Some of these rows: what became of each, its key and, where it changed, which columns."""

    def lines(self) -> Iterator[str]:
        """Give what a person is shown besides the numbers."""
        for word, names in (("columns came", self.columns_came), ("columns went", self.columns_went)):
            if names:
                yield f"{word}: {', '.join(names)}"
        if self.columns:
            yield "changed " + ", ".join(f"{name} ({count:,})" for name, count in self.columns.items())
        for row in self.rows:
            key = " ".join(str(row[name]) for name in _KEYS if name in row)
            yield f"{row['what']:<8}{key}" + (f": {', '.join(row['columns'])}" if row["columns"] else "")


@dataclass(frozen=True, slots=True)
class ReleaseDifference:
    """What is different in a release from another one."""

    release: str
    against: str
    tables: Mapping[str, TableDifference]

    def as_tree(self) -> dict[str, Any]:
        """Give the object for `--json`."""
        tables = {name: asdict(each) for name, each in self.tables.items()}
        return {"release": self.release, "against": self.against, "tables": tables}


def compare_releases(settings: Settings, name: str | None, against: str, rows: int) -> ReleaseDifference:
    """Compare a release (None: the newest besides the other) with another; name so many rows of each kind.

    Raises UsageError where there is no such release.
    """
    store = open_store(settings.dataset.url, settings.dataset.storage_options)
    other = require_release(store, against)
    release = _newest(store, against) if name is None else require_release(store, name)
    tables = {
        table: _compare_table(store, table, (other, release), rows)
        for table in dict.fromkeys((*release.tables, *other.tables))
    }
    return ReleaseDifference(release.name, other.name, tables)


def _newest(store: Store, besides: str) -> Release:
    found = [each for each in list_releases(store)[0] if each.name != besides]
    if not found:
        raise UsageError(
            f"{store.url()} has no other release than {besides!r}.",
            fix="Make one: `stemline release CONFIG NAME`.",
        )
    return found[-1]


def _compare_table(store: Store, table: str, pair: tuple[Release, Release], rows: int) -> TableDifference:
    before, after = (each.parts_of(table) for each in pair)
    shared = {file.sha256 for file in before} & {file.sha256 for file in after}
    same = sum(file.rows or 0 for file in after if file.sha256 in shared)
    keys = [
        [release_key(release.name, file.path) for file in parts if file.sha256 not in shared]
        for release, parts in zip(pair, (before, after), strict=True)
    ]
    if not any(keys):
        return TableDifference(same=same)
    with fetched(store, keys[0]) as old, fetched(store, keys[1]) as new, scratch_folder() as scratch:
        return _Comparison((old, new), rows).run(scratch, same)


@dataclass(frozen=True, slots=True)
class _Comparison:
    """Parts of a table in two states."""

    files: tuple[Sequence[Path], Sequence[Path]]
    rows: int

    def run(self, scratch: Path, same: int) -> TableDifference:
        """Give what became of the rows; so many are known to be the `same`."""
        before, after = self._schemas
        settings: dict[str, str | bool | int | float | list[str]] = {
            "memory_limit": f"{MEMORY_BYTES >> 20}MB",
            "temp_directory": str(scratch / "duckdb"),
            "preserve_insertion_order": "false",
            "threads": 2,  # each works with memory of its own
        }
        with duckdb.connect(str(scratch / "compared.db"), config=settings) as connection:
            for name, files, schema in zip(_SIDES, self.files, self._schemas, strict=True):
                _open_side(connection, f"{name}_parts", files, schema)
            connection.execute("SET enable_progress_bar = false")
            for statement in _statements(before, after):
                connection.execute(statement)
            counts = dict(connection.execute("SELECT what, count(*) FROM joined GROUP BY what").fetchall())
            columns = connection.execute(_COLUMN_COUNTS).fetchall()
            return TableDifference(
                counts.get("came", 0),
                counts.get("went", 0),
                counts.get("changed", 0),
                counts.get("same", 0) + same,
                dict(columns),
                [name for name in after.names if name not in before.names],
                [name for name in before.names if name not in after.names],
                list(self._examples(connection, _keys(after))),
            )

    @property
    def _schemas(self) -> tuple[pa.Schema, pa.Schema]:
        """The columns of both; of a state without a part those of the other."""
        old, new = (pq.read_schema(files[0]) if files else None for files in self.files)
        return (new if old is None else old), (old if new is None else new)

    def _examples(
        self, connection: duckdb.DuckDBPyConnection, keys: Sequence[str]
    ) -> Iterator[dict[str, Any]]:
        names = ["what", *keys, "columns"]
        for what in ("came", "went", "changed"):
            query = (
                f"SELECT {', '.join(names)} FROM joined WHERE what = $1 ORDER BY {', '.join(keys)} LIMIT $2"
            )
            found = connection.execute(query, [what, self.rows]).fetchall()
            yield from (dict(zip(names, row, strict=True)) for row in found)


_SIDES = ("old", "new")
_COLUMN_COUNTS = """
SELECT name, count(*) FROM (SELECT unnest(columns) AS name FROM joined) GROUP BY name ORDER BY count(*) DESC, name
"""


def _open_side(
    connection: duckdb.DuckDBPyConnection, name: str, files: Sequence[Path], schema: pa.Schema
) -> None:
    """Make one state known to DuckDB under a name."""
    if files:
        connection.read_parquet([str(file) for file in files], hive_partitioning=False).create_view(name)
    else:
        connection.register(name, schema.empty_table())


def _statements(before: pa.Schema, after: pa.Schema) -> Iterator[str]:
    """Give what makes a table of every row's key, what became of it and which columns changed.

    Cells are compared by their hashes, which are all of a size, and one step follows the other through the disk: with
    the cells themselves, memory would hold as many rows as they are short.
    """
    keys = _keys(after)
    left_out = {*keys, *_NOT_COMPARED}
    compared = [name for name in after.names if name in before.names and name not in left_out]
    as_text = {name for name in compared if before.field(name).type != after.field(name).type}
    for side, schema in zip(_SIDES, (before, after), strict=True):
        yield from _side(side, schema, compared, as_text)
    changed = ", ".join(
        f"CASE WHEN old.c{number} <> new.c{number} THEN {_text(name)} END"
        for number, name in enumerate(compared)
    )
    columns = f"list_filter([{changed}]::VARCHAR[], lambda name: name IS NOT NULL)"
    key_columns = ", ".join(f"coalesce(new.{name}, old.{name}) AS {name}" for name in keys)
    conditions = " AND ".join(f"old.{name} = new.{name}" for name in (*keys, "place"))
    yield f"""
        CREATE TABLE joined AS
        SELECT {key_columns},
            CASE WHEN old.place IS NULL OR new.place IS NULL THEN []::VARCHAR[] ELSE {columns} END AS columns,
            CASE WHEN old.place IS NULL THEN 'came' WHEN new.place IS NULL THEN 'went'
                 WHEN len(columns) > 0 THEN 'changed' ELSE 'same' END AS what
        FROM old_rows AS old FULL JOIN new_rows AS new ON {conditions}
    """


def _side(side: str, schema: pa.Schema, compared: Sequence[str], as_text: Container[str]) -> Iterator[str]:
    """Give what makes a table of a state: keys, a hash of each cell, the place of a row among those of its key."""
    keys = ", ".join(_keys(schema))
    cells = [
        f"hash({_quoted(column)}{'::VARCHAR' if column in as_text else ''}) AS c{number}"
        for number, column in enumerate(compared)
    ]
    turn = ", ".join(each for each in _ORDER if each in schema.names) or "0"
    yield f"CREATE TABLE {side}_cells AS SELECT {', '.join([keys, f'hash({turn}) AS turn', *cells])} FROM {side}_parts"
    yield f"""
        CREATE TABLE {side}_rows AS
        SELECT * EXCLUDE (turn), row_number() OVER (PARTITION BY {keys} ORDER BY turn) AS place FROM {side}_cells
    """
    yield f"DROP TABLE {side}_cells"


def _quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'


def _text(name: str) -> str:
    return "'" + name.replace("'", "''") + "'"


def _keys(schema: pa.Schema) -> list[str]:
    return [name for name in _KEYS if name in schema.names]
