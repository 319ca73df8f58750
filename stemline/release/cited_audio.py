"""The audio that releases name: it stays where it is, though the tables may name it no longer."""

from __future__ import annotations

from collections.abc import Iterator

import pyarrow as pa
import pyarrow.parquet as pq

from stemline.errors import StemlineError, StorageError
from stemline.release.record import RELEASES_PREFIX
from stemline.rewrite.partfiles import fetched
from stemline.storage import Store

_UNREADABLE = (pa.ArrowException, OSError, ValueError, LookupError, StemlineError)


def list_stem_parts(store: Store) -> list[str]:
    """Give the parts of the stems table of every release, finished or not."""
    found = []
    for key in store.list(RELEASES_PREFIX):
        path = key.removeprefix(f"{RELEASES_PREFIX}/").partition("/")[2]
        if path.startswith("stems/") and path.endswith(".parquet"):
            found.append(key)
    return sorted(found)


def audio_named_in(store: Store, key: str) -> list[str]:
    """Give the audio that a part of a stems table names; raises StorageError where it cannot be read."""
    try:
        with fetched(store, [key]) as (path,):
            table = pq.read_table(path, columns=["path"], partitioning=None)
    except _UNREADABLE as error:
        raise StorageError(f"{store.url(key)} cannot be read: what it names is not known.") from error
    return [each for each in table.column(0).to_pylist() if each is not None]


def cited_audio(store: Store) -> Iterator[str]:
    """Give the audio that any release names; raises StorageError where that cannot be told."""
    for key in list_stem_parts(store):
        yield from audio_named_in(store, key)
