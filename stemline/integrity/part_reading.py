"""The parts of the tables read to their end: whether they are what they were, and the rows they hold."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from stemline.errors import StemlineError
from stemline.integrity.finding import DamageKind, ObjectDamage
from stemline.integrity.known_parts import KnownParts, absent
from stemline.integrity.row_file import RowFile
from stemline.records import PartFile
from stemline.rewrite.snapshot import live_key
from stemline.storage import Store, file_sha256, scratch_folder

PARTS_AT_ONCE = 8
_ROWS_AT_ONCE = 20_000
_RECIPE = ("stems", "quality", "format")
TRACK_ROWS = pa.schema([(name, pa.string()) for name in ("track_id", "provider", "recipe")])
STEM_ROWS = pa.schema(
    [
        *((name, pa.string()) for name in ("track_id", "provider", "recipe", "stem", "path", "sha256")),
        ("size_bytes", pa.int64()),
        ("frames", pa.int64()),
        ("verification", pa.string()),
    ]
)
_STEM_COLUMNS = [name for name in STEM_ROWS.names if name != "path"]
_UNREADABLE = (pa.ArrowException, OSError, ValueError, KeyError, StemlineError)


@dataclass(frozen=True, slots=True)
class GatheredRows:
    """What the comparison needs of the rows of the tables."""

    tracks: RowFile
    stems: RowFile


@dataclass
class PartReader:
    """Reads the live parts of a dataset, several at once."""

    store: Store
    known: KnownParts
    rows: GatheredRows
    damages: list[ObjectDamage] = field(default_factory=list)
    unread: set[str] = field(default_factory=set)
    """Tables of which rows are missing, because a part of them could not be read."""

    def run(self) -> None:
        """Read every live part."""
        with ThreadPoolExecutor(PARTS_AT_ONCE) as threads:
            for damage in threads.map(self._read, sorted(self.known.live)):
                if damage is not None:
                    self.damages.append(damage)
        self.unread |= {_table(each.path) for each in self.known.damages if each.kind != DamageKind.EXTRA}

    def _read(self, key: str) -> ObjectDamage | None:
        told = self.known.described.get(key)
        try:
            with _file(self.store, key) as path:
                wrong = "" if told is None else _difference(path, told)
                rows = self._read_rows(key, path, is_whole=told is None)
        except FileNotFoundError:
            self.unread.add(_table(key))
            return absent(self.store, key, "It is gone.")
        except _UNREADABLE as error:
            self.unread.add(_table(key))
            reason = str(error).splitlines()[0] if str(error) else type(error).__name__
            return ObjectDamage(key, DamageKind.ALTERED, f"It is no sound Parquet file: {reason}")
        if not wrong and told is not None and rows != told.rows:
            wrong = f"It has {rows:,} rows and had {told.rows:,}."
        return ObjectDamage(key, DamageKind.ALTERED, wrong) if wrong else None

    def _read_rows(self, key: str, path: Path, *, is_whole: bool) -> int:
        """Gather what is compared of a part's rows; all of it is decoded where nothing else tells its state."""
        table = _table(key)
        with pq.ParquetFile(path) as part:
            wanted = {"tracks": ["track_id", "provider", *_RECIPE], "stems": _STEM_COLUMNS}.get(table, [])
            if "path" in part.schema_arrow.names and table == "stems":
                wanted = [*wanted, "path"]
            missing = set(wanted) - set(part.schema_arrow.names)
            if missing:
                message = f"it has no column {', '.join(sorted(missing))}"
                raise ValueError(message)
            every = [name for name in part.schema_arrow.names if name != "audio"]
            for batch in part.iter_batches(_ROWS_AT_ONCE, columns=every if is_whole else wanted):
                rows = pa.Table.from_batches([batch])
                if table == "tracks":
                    self.rows.tracks.add(_with_recipe(rows))
                elif table == "stems":
                    self.rows.stems.add(_with_path(rows))
            return int(part.metadata.num_rows)


def _table(key: str) -> str:
    return live_key(key).partition("/")[0]


@contextmanager
def _file(store: Store, key: str) -> Iterator[Path]:
    """Give a part as a file of the local disk."""
    path = store.local_path(key)
    if path is not None:
        yield path
        return
    with scratch_folder() as folder:
        store.fetch_file(key, folder / "part.parquet")
        yield folder / "part.parquet"


def _difference(path: Path, told: PartFile) -> str:
    """Say what is different in a part from what it was; empty: nothing."""
    size = path.stat().st_size
    if size != told.size_bytes:
        return f"It has {size:,} bytes and had {told.size_bytes:,}."
    return "" if file_sha256(path) == told.sha256 else "Its bytes are not those that were written."


def _with_recipe(rows: pa.Table) -> pa.Table:
    """Give the rows with the recipe's name, which parts of the first version do not have."""
    names = pc.binary_join_element_wise(*(rows.column(name) for name in _RECIPE), "-")
    there = rows.column_names
    at = there.index("recipe") if "recipe" in there else None
    return rows.append_column("recipe", names) if at is None else rows.set_column(at, "recipe", names)


def _with_path(rows: pa.Table) -> pa.Table:
    """Give the rows with a path, which embedded audio has none of."""
    if "path" in rows.column_names:
        return rows
    return rows.append_column("path", pa.nulls(rows.num_rows, pa.string()))
