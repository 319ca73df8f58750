"""Parquet parts without the rows of some tracks."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from stemline.dataset.parts import part_writer
from stemline.dataset.renewal import damaged_part
from stemline.rewrite.partfiles import fetched
from stemline.storage import Store

PARTS_AT_ONCE = 8


def count_rows(store: Store, keys: Sequence[str], track_ids: Collection[str]) -> Iterator[tuple[str, int]]:
    """Give the parts that hold rows of these tracks, and how many; one that is gone meanwhile holds none.

    Raises StorageError for one that cannot be read: nobody can say what is in it.
    """
    wanted = pa.array(sorted(track_ids), pa.string())

    def count(key: str) -> int:
        try:
            with opened(store, key) as part:
                ids = part.read(["track_id"]).column(0)
        except FileNotFoundError:
            return 0
        return int(pc.sum(pc.is_in(ids, value_set=wanted)).as_py() or 0)

    with ThreadPoolExecutor(PARTS_AT_ONCE) as threads:
        yield from ((key, rows) for key, rows in zip(keys, threads.map(count, keys), strict=True) if rows)


def write_without(store: Store, key: str, track_ids: Collection[str], path: Path) -> int:
    """Write a part without the rows of these tracks to a local file; give how many rows are left."""
    wanted, left = pa.array(sorted(track_ids), pa.string()), 0
    with opened(store, key) as part, part_writer(path, part.schema_arrow) as writer:
        for number in range(part.num_row_groups):
            table = part.read_row_group(number)
            rest = table.filter(pc.invert(pc.is_in(table.column("track_id"), value_set=wanted)))
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
