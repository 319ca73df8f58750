"""Parts as files on the local disk: where they lie already, or as copies for a while."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

from stemline.storage import Store, disk_guarded, scratch_folder

FETCHES_AT_ONCE = 16


@contextmanager
def fetched(store: Store, keys: Sequence[str]) -> Iterator[list[Path]]:
    """Give parts as local files, in the order of their keys.

    Raises FileNotFoundError for one that is gone.
    """
    here = [store.local_path(key) for key in keys]
    if all(path is not None for path in here):
        paths = [path for path in here if path is not None]
        for path in paths:
            path.stat()
        yield paths
        return
    with scratch_folder() as folder, disk_guarded(folder), ThreadPoolExecutor(FETCHES_AT_ONCE) as threads:
        paths = [folder / f"{number}.parquet" for number in range(len(keys))]
        list(threads.map(store.fetch_file, keys, paths))
        yield paths
