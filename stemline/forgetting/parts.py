"""Parquet parts without the rows of some tracks."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc

from stemline.rewrite.part_rows import PARTS_AT_ONCE, opened, write_without
from stemline.storage import Store


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


def write_without_tracks(store: Store, key: str, track_ids: Collection[str], path: Path) -> int:
    """Write a part without the rows of these tracks to a local file; give how many rows are left."""
    wanted = pa.array(sorted(track_ids), pa.string())
    return write_without(store, key, lambda table: pc.is_in(table.column("track_id"), value_set=wanted), path)
