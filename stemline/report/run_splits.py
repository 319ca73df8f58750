"""What a run published, by split: as the tables have it, read from the few parts that hold the run's rows."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from math import isfinite
from typing import Any

import pyarrow as pa

from stemline.errors import StemlineError
from stemline.ledger import Ledger
from stemline.reader.part_list import PartList, read_part_list
from stemline.reader.store_access import StoreAccess
from stemline.reader.tables import OpenTables
from stemline.report.part_columns import read_part_columns
from stemline.report.run_previews import batch_of
from stemline.report.shares import SHOWN_VALUES, Breakdown, ValueShare
from stemline.report.timed_work import done_in_time
from stemline.storage import Store

_COLUMNS = ("run_id", "split", "duration_seconds", "credits_charged")
_SECONDS = 20.0
"""So long a page waits for them."""


def read_splits_of_run(ledger: Ledger, store: Store, run_id: str) -> Breakdown | None:
    """Give tracks, hours and credits by split; None where no track has one, or the tables cannot be read in time."""
    batches = ledger.queries.batches_of_run(run_id)
    found = done_in_time({"splits": lambda: _read(store, run_id, batches)}, _SECONDS).get("splits")
    return found if found is not None and found.is_told else None


def _read(store: Store, run_id: str, batches: set[str]) -> Breakdown | None:
    access = StoreAccess(store.root_url, store.storage_options)
    try:
        listed = read_part_list(access.store, None)
        mine = tuple(key for key in listed.parts["tracks"] if batch_of(key) in batches)
        tables = OpenTables(access, PartList({**listed.parts, "tracks": mine}, listed.layout))
        parts = read_part_columns(tables.table("tracks"), _COLUMNS)
        return _counted(row for part in parts for row in part.to_pylist() if row["run_id"] == run_id)
    except (StemlineError, OSError, ValueError, KeyError, pa.ArrowException):  # replaced or damaged meanwhile
        return None


def _counted(rows: Iterable[Mapping[str, Any]]) -> Breakdown:
    tracks, credits_ = Counter[str | None](), Counter[str | None]()
    seconds: dict[str | None, float] = {}
    for row in rows:
        split, length = row.get("split") or None, row.get("duration_seconds") or 0.0
        tracks[split] += 1
        credits_[split] += row.get("credits_charged") or 0
        seconds[split] = seconds.get(split, 0.0) + (length if isfinite(length) else 0.0)
    ranked = sorted(tracks, key=lambda split: (-seconds[split], -tracks[split], split or ""))
    shares = [ValueShare(split, tracks[split], seconds[split], credits_[split]) for split in ranked]
    shown, others = shares[:SHOWN_VALUES], shares[SHOWN_VALUES:]
    rest = ValueShare(
        None,
        sum(each.tracks for each in others),
        sum(each.seconds for each in others),
        sum(each.credits for each in others),
    )
    return Breakdown(tuple(shown), len(shares), rest if others else None)
