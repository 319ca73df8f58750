"""The rows of the tables, the listing of the audio and the ledger held against each other by DuckDB.

It keeps on the disk what does not fit into its share of memory.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import duckdb
import pyarrow as pa

from stemline.integrity.finding import DamageKind, ObjectDamage, RowDamage, RowFault, StemOwner
from stemline.integrity.part_reading import STEM_ROWS, TRACK_ROWS
from stemline.records import LINKED

MEMORY_BYTES = 512 << 20
LISTED = pa.schema([("path", pa.string()), ("size_bytes", pa.int64())])
FOLDERS = pa.schema([("folder", pa.string()), ("has_rows", pa.bool_()), *TRACK_ROWS])
FILES = {"tracks": TRACK_ROWS, "stems": STEM_ROWS, "listed": LISTED, "held": TRACK_ROWS}
"""What is gathered before it is compared: rows of the tables, what is listed, what the ledger has published."""
_KEY = "track_id, provider, recipe"
_VIEWS = """
CREATE VIEW objects AS SELECT * FROM stems
    WHERE path IS NOT NULL AND NOT list_contains(string_split(verification, ','), $linked)
"""
_ABSENT = """
SELECT DISTINCT path FROM objects ANTI JOIN listed USING (path) ORDER BY path
"""
_RESIZED = """
SELECT path, min(listed.size_bytes), min(objects.size_bytes) FROM objects JOIN listed USING (path)
WHERE objects.size_bytes IS DISTINCT FROM listed.size_bytes GROUP BY path ORDER BY path
"""
_UNNAMED = "SELECT path FROM listed ANTI JOIN stems USING (path) ORDER BY path"
_SOUND = """
SELECT path, any_value(objects.sha256), any_value(frames), any_value(verification) FROM objects JOIN listed USING (path)
WHERE objects.size_bytes = listed.size_bytes GROUP BY path ORDER BY {order}
"""
_ROW_QUERIES = {
    RowFault.DOUBLED: f"""
        SELECT * FROM (SELECT {_KEY} FROM tracks GROUP BY ALL HAVING count(*) > 1
        UNION SELECT {_KEY} FROM (SELECT {_KEY}, stem FROM stems GROUP BY ALL HAVING count(*) > 1))
    """,
    RowFault.WITHOUT_STEMS: f"SELECT DISTINCT {_KEY} FROM tracks ANTI JOIN stems USING ({_KEY})",
    RowFault.WITHOUT_TRACK: f"SELECT DISTINCT {_KEY} FROM stems ANTI JOIN tracks USING ({_KEY})",
    RowFault.UNLISTED: f"SELECT DISTINCT {_KEY} FROM held ANTI JOIN tracks USING ({_KEY})",
}


@dataclass(frozen=True, slots=True)
class Comparison:
    """What was gathered, ready to be asked."""

    connection: duckdb.DuckDBPyConnection

    def damages(self) -> Iterator[ObjectDamage]:
        """Give the objects that the stems table names and that are not there, or not as long."""
        for (path,) in self._ask(_ABSENT):
            yield ObjectDamage(path, DamageKind.MISSING, "The stems table has it, and it is not there.")
        for path, size, told in self._ask(_RESIZED):
            sentence = f"It has {size:,} bytes" + (f" and had {told:,}." if told is not None else ".")
            yield ObjectDamage(path, DamageKind.ALTERED, sentence)

    def rows(self) -> Iterator[RowDamage]:
        """Give the tracks that are in the tables twice, or a stem of them is, by half, or not at all."""
        for fault, query in _ROW_QUERIES.items():
            for row in self._ask(f"{query} ORDER BY ALL"):
                yield RowDamage(fault, *row)

    def unnamed(self) -> list[str]:
        """Give the audio objects that no row of the stems table names."""
        return [path for (path,) in self._ask(_UNNAMED)]

    def without_owner(self, named: Path, owners: Path) -> list[str]:
        """Give those of some objects that are in no folder of an attempt that may have them.

        An attempt that should have rows has those objects that its rows name, unless its rows are gone.
        """
        query = f"""
            SELECT path FROM read_parquet($1) AS named WHERE NOT EXISTS (
                SELECT 1 FROM read_parquet($2) AS owners WHERE owners.folder = named.folder
                AND (NOT has_rows OR NOT EXISTS (SELECT 1 FROM stems WHERE {_same("owners", "stems")}))
            ) ORDER BY path
        """
        found = self.connection.execute(query, [str(named), str(owners)]).fetchall()
        return [path for (path,) in found]

    def owners(self, paths: Sequence[str]) -> dict[str, StemOwner]:
        """Give what the stems table tells of these objects."""
        wanted = pa.table({"path": list(paths)}, schema=pa.schema([("path", pa.string())]))
        self.connection.register("wanted", wanted)
        cells = "path, track_id, provider, recipe, stem, sha256, verification"
        rows = self._ask(f"SELECT DISTINCT ON (path) {cells} FROM objects SEMI JOIN wanted USING (path)")
        return {path: StemOwner(*cells) for path, *cells in rows}

    def sound(self, sample: int | None) -> Iterator[Sequence[tuple[str, str | None, int | None, str]]]:
        """Give objects of the right size with their digests and lengths, some at a time; a sample never differs."""
        order = "path" if sample is None else f"md5(path), path LIMIT {int(sample)}"
        cursor = self.connection.execute(_SOUND.format(order=order))
        while rows := cursor.fetchmany(5_000):
            yield rows

    def _ask(self, query: str) -> Iterator[tuple[str, ...]]:
        cursor = self.connection.execute(query)
        while rows := cursor.fetchmany(10_000):
            yield from rows


def _same(one: str, other: str) -> str:
    return " AND ".join(f"{one}.{name} = {other}.{name}" for name in TRACK_ROWS.names)


@contextmanager
def compared(folder: Path) -> Iterator[Comparison]:
    """Give what was gathered in a folder, one file for each of FILES, ready to be asked."""
    settings: dict[str, str | bool | int | float | list[str]] = {
        "memory_limit": f"{MEMORY_BYTES >> 20}MB",
        "temp_directory": str(folder / "duckdb"),
        "preserve_insertion_order": "false",
    }
    with duckdb.connect(config=settings) as connection:
        connection.execute("SET enable_progress_bar = false")
        for name in FILES:
            file = str(folder / f"{name}.parquet").replace("'", "''")
            connection.execute(f"CREATE VIEW {name} AS SELECT * FROM read_parquet('{file}')")
        connection.execute(_VIEWS.replace("$linked", f"'{LINKED}'"))
        yield Comparison(connection)
