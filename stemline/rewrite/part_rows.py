"""Rows looked for in parts, and parts written without some of theirs."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from stemline.dataset.parts import part_writer
from stemline.dataset.renewal import damaged_part
from stemline.records import Recipe
from stemline.rewrite.partfiles import fetched
from stemline.storage import Store

PARTS_AT_ONCE = 8


@dataclass(frozen=True, slots=True)
class RowChoice:
    """The rows of some tracks of one provider and recipe, in any of the tables."""

    provider: str
    recipe: Recipe
    track_ids: frozenset[str]

    def columns(self, names: Sequence[str]) -> list[str]:
        """Give the columns, of these of a part, by which its rows are told."""
        return ["track_id", "provider", *self._recipe(names)]

    def is_chosen(self, table: pa.Table) -> pa.ChunkedArray:
        """Give for each row whether it is one of them."""
        chosen = pc.is_in(table.column("track_id"), value_set=pa.array(sorted(self.track_ids), pa.string()))
        chosen = pc.and_(chosen, pc.equal(table.column("provider"), self.provider))
        for name, value in self._recipe(table.column_names).items():
            chosen = pc.and_(chosen, pc.equal(table.column(name), value))
        return chosen

    def _recipe(self, names: Sequence[str]) -> dict[str, str]:
        """Give what tells the recipe: its words in the tracks table, whose older parts lack its name; else that."""
        if "quality" in names:
            return {name: getattr(self.recipe, name) for name in ("stems", "quality", "format")}
        return {"recipe": self.recipe.name}


def tracks_in(store: Store, keys: Sequence[str], choice: RowChoice) -> Iterator[tuple[str, frozenset[str]]]:
    """Give the parts that hold rows of a choice, and of which tracks; one that is gone meanwhile holds none.

    Raises StorageError for one that cannot be read.
    """

    def look(key: str) -> frozenset[str]:
        try:
            with opened(store, key) as part:
                table = part.read(choice.columns(part.schema_arrow.names))
        except FileNotFoundError:
            return frozenset()
        return frozenset(table.filter(choice.is_chosen(table)).column("track_id").to_pylist())

    with ThreadPoolExecutor(PARTS_AT_ONCE) as threads:
        yield from ((key, ids) for key, ids in zip(keys, threads.map(look, keys), strict=True) if ids)


def write_without(store: Store, key: str, is_gone: Callable[[pa.Table], pa.ChunkedArray], path: Path) -> int:
    """Write a part without some of its rows to a local file; give how many rows are left."""
    left = 0
    with opened(store, key) as part, part_writer(path, part.schema_arrow) as writer:
        for number in range(part.num_row_groups):
            table = part.read_row_group(number)
            rest = table.filter(pc.invert(is_gone(table)))
            left += rest.num_rows
            if rest.num_rows:
                writer.write_table(rest)
    return left


@contextmanager
def opened(store: Store, key: str) -> Iterator[pq.ParquetFile]:
    """Open a part where it lies, or a copy of it; raises StorageError, naming it, for one that is damaged."""
    with fetched(store, [key]) as (path,):
        try:
            # The folders of a partition are no columns of its own.
            with pq.ParquetFile(path) as part:
                yield part
        except FileNotFoundError:
            raise
        except (pa.ArrowInvalid, OSError) as error:
            raise damaged_part(store, key) from error
