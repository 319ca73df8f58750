"""What a dataset consists of at one moment, though runs go on publishing while its tables are listed one by one."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

from stemline.dataset.stored_tracks import rows_name
from stemline.rewrite.snapshot import live_key, live_parts
from stemline.storage import Store


@dataclass(frozen=True, slots=True)
class Moment:
    """The parts of whole batches."""

    keys: tuple[str, ...]
    left_out: tuple[str, ...]
    """Parts of batches that were only half there: somebody is publishing them, or was cut off."""


def read_moment(store: Store) -> Moment:
    """Give the parts that hold the dataset's rows now.

    A batch's parts of tracks are written last, and listed last. So one without any of stems came while the tables were
    listed, unless a second look finds none either: then the stems are gone, and its tracks are all there is.
    """
    keys = live_parts(store)
    tracks, stems = _names(keys, "tracks"), _names(keys, "stems")
    newer = tracks - stems
    if newer:
        newer &= _names(live_parts(store), "stems")
    whole = tracks - newer
    kept = [key for key in keys if rows_name(live_key(key)) in whole]
    return Moment(tuple(kept), tuple(key for key in keys if rows_name(live_key(key)) not in whole))


def _names(keys: Collection[str], table: str) -> set[str]:
    return {rows_name(live_key(key)) for key in keys if live_key(key).startswith(f"{table}/")}
