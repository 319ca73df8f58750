"""Windows of a dataset as it is now: the index and the choice, made where they are not kept yet."""

from __future__ import annotations

import errno
import hashlib
import json
import logging
from collections.abc import Iterable
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from stemline.errors import StemlineError, StorageError, UsageError
from stemline.reader.index_build import write_index
from stemline.reader.index_cache import IndexCache, cache_folder
from stemline.reader.store_files import file_system
from stemline.reader.tables import OpenTables
from stemline.reader.window_choice import WindowChoice, write_choice
from stemline.reader.window_index import WindowIndex
from stemline.reader.window_request import WindowRequest
from stemline.storage import Store
from stemline.storage.disk import disk_error

logger = logging.getLogger(__name__)

_STALE = (OSError, IndexError, pa.ArrowException)
"""What reading a part comes to that a rewrite has replaced since it was looked up."""
_PART_UNREAD = "reading the stream registered as "
"""With this DuckDB passes on what reading a part came to."""
_TRIES = 3
_FULL = (errno.ENOSPC, errno.EDQUOT)


class WindowTables(Protocol):
    """The dataset that windows are drawn from."""

    @property
    def store(self) -> Store: ...  # noqa: D102 - as in StemsDataset
    @property
    def url(self) -> str: ...  # noqa: D102
    @property
    def tables(self) -> OpenTables: ...  # noqa: D102
    def sql(self, query: str) -> Any: ...  # noqa: ANN401, D102
    def refresh(self) -> bool: ...  # noqa: D102


def find_windows(dataset: WindowTables, request: WindowRequest) -> tuple[WindowIndex, WindowChoice]:
    """Give the index of a dataset and the windows chosen from it.

    Raises:
        UsageError: what is asked for is not there; it names what is.
        StorageError: the parts cannot be read, or the folder for indexes not written.
    """
    for left in reversed(range(_TRIES)):
        try:
            return _found(dataset, request)
        except StemlineError:
            raise
        except _STALE as error:
            if isinstance(error, OSError) and error.errno in _FULL:
                raise disk_error(cache_folder(), error) from error
            if not left or not dataset.refresh():
                raise StorageError(
                    f"The parts of {dataset.url} cannot be read: {error}.", fix="Run `stemline verify`."
                ) from error
    raise AssertionError


def _found(dataset: WindowTables, request: WindowRequest) -> tuple[WindowIndex, WindowChoice]:
    store, tables = dataset.store, dataset.tables
    cache = IndexCache(cache_folder(), dataset.url, _state(store, tables))
    stems, activity = tables.table("stems"), tables.table("activity")

    def index_into(folder: Path) -> None:
        logger.info("Writing the index of %s below %s, once.", dataset.url, cache.folder)
        write_index(folder, stems, activity, file_system(store)[1])

    index = cache.get("index", WindowIndex, index_into)

    def choose_into(folder: Path) -> None:
        write_choice(folder, index, _asked_rows(dataset, index, request), request)

    name = hashlib.sha256(request.as_text().encode()).hexdigest()[:16]
    return index, cache.get(f"windows-{name}", WindowChoice, choose_into)


def _state(store: Store, tables: OpenTables) -> str:
    """Give what changes with the parts: their names and sizes."""
    parts = {table: sorted(keys) for table, keys in tables.listed.parts.items()}
    folders = {_folder(key) for keys in parts.values() for key in keys}
    sizes = {key: size for folder in sorted(folders) for key, size in store.list_sizes(folder)}
    told = {table: [(key, sizes.get(key)) for key in keys] for table, keys in parts.items()}
    return hashlib.sha256(json.dumps(told, sort_keys=True).encode()).hexdigest()


def _folder(key: str) -> str:
    """Give the folder in which a part is listed with the others of its table."""
    steps = key.split("/")
    return "/".join(steps[:3]) if steps[0] in ("releases", "_stemline") else steps[0]


def _asked_rows(dataset: WindowTables, index: WindowIndex, request: WindowRequest) -> NDArray[np.int64]:
    """Give the rows of the index that split and filter leave, the newest of a track last.

    Raises UsageError where that is none.
    """
    tracks = dataset.tables.table("tracks")
    names = set(tracks.schema.names)
    if "track_id" not in names:
        raise UsageError(f"{dataset.url} has no tracks yet.", fix="Run `stemline run` first.")
    filters = _filters(request)
    made = "stems || '-' || quality || '-' || format"
    recipe = f"coalesce(recipe, {made})" if "recipe" in names else made
    query = (
        f"SELECT track_id || chr(31) || provider || chr(31) || {recipe} AS name FROM tracks "
        f"WHERE {' AND '.join(filters) or 'true'}\nORDER BY collected_on, run_id, provider, {recipe}"
    )
    found = _answered(dataset, query, request)["name"].combine_chunks()
    if not len(found):
        raise _none_left(dataset, request)
    rows = pc.index_in(found.cast(pa.large_string()), value_set=index.row_names())
    numbers: NDArray[np.int64] = pc.drop_null(rows).to_numpy().astype(np.int64)
    return numbers


def _answered(dataset: WindowTables, query: str, request: WindowRequest) -> pa.Table:
    import duckdb  # noqa: PLC0415 - what is kept needs no SQL

    try:
        return dataset.sql(query).to_arrow_table()
    except (UsageError, duckdb.Error) as error:
        if _PART_UNREAD in str(error):
            raise OSError(str(error).split(_PART_UNREAD, 1)[1].splitlines()[0]) from error
        if request.where is None:
            raise
        reason = str(error.__cause__ or error).splitlines()[0].rstrip(".!")
        raise UsageError(
            f"where={request.where!r} is no condition on the table tracks: {reason}.",
            fix=f"Its columns are {', '.join(dataset.tables.table('tracks').schema.names)}.",
        ) from error


def _filters(request: WindowRequest) -> list[str]:
    split = None if request.split is None else request.split.replace("'", "''")
    wanted = [] if split is None else [f"split = '{split}'"]
    return wanted if request.where is None else [*wanted, f"(\n{request.where}\n)"]


def _none_left(dataset: WindowTables, request: WindowRequest) -> UsageError:
    found = dataset.sql("SELECT DISTINCT split FROM tracks ORDER BY split").fetchall()
    splits = [split for (split,) in found if split is not None]
    if request.split is not None and request.split not in splits:
        return UsageError(f"The dataset has no split {request.split!r}.", fix=_it_has(splits))
    within = "" if request.split is None else f" of the split {request.split!r}"
    told = (
        "The dataset has no track"
        if request.where is None
        else f"No track{within} answers to where={request.where!r}"
    )
    return UsageError(f"{told}.", fix="Ask for more: `dataset.sql` tells what there is.")


def _it_has(names: Iterable[str]) -> str:
    told = ", ".join(names)
    return f"It has {told}." if told else "Its tracks are in none; leave `split` out."
