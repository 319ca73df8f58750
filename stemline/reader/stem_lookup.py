"""One stem looked up by its names."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import date
from typing import Any

import pyarrow.compute as pc
import pyarrow.dataset as pads

from stemline.errors import UsageError
from stemline.reader.stem_place import ACTIVITY_COLUMNS, STEM_COLUMNS, StemPlace, stem_place

_NAMES = ("track_id", "stem", "provider", "recipe")
_ROW = "__row"


@dataclass(frozen=True, slots=True)
class StemName:
    """What a stem is asked for by; of several providers and recipes the newest is meant where none is named."""

    track_id: str
    stem: str
    provider: str | None = None
    recipe: str | None = None


def find_stem(name: StemName, stems: pads.Dataset, activity: pads.Dataset) -> StemPlace:
    """Give where a stem is.

    Raises:
        UsageError: there is none of this name; it tells which there are.
    """
    rows = _rows_of(stems, name.track_id)
    if not rows:
        raise UsageError(
            f"There is no track {name.track_id!r} in the dataset.",
            fix="Its tracks are in the table `tracks`.",
        )
    kept = [row for row in rows if _is_asked(row, name)]
    if not kept:
        asked = " and ".join(each for each in (name.provider, name.recipe) if each)
        made = _listed(f"{row['provider']} {row['recipe']}" for row in rows)
        raise UsageError(f"The track {name.track_id!r} has nothing by {asked}.", fix=f"It has {made}.")
    found = [row for row in kept if row["stem"] == name.stem]
    if not found:
        raise UsageError(
            f"The track {name.track_id!r} has no stem {name.stem!r}.",
            fix=f"It has {_listed(row['stem'] for row in kept)}.",
        )
    row = max(found, key=_age)
    seconds = _activity_of(activity, row)
    return stem_place(row, seconds)


def _is_asked(row: Mapping[str, Any], name: StemName) -> bool:
    return name.provider in (None, row["provider"]) and name.recipe in (None, row["recipe"])


def _age(row: Mapping[str, Any]) -> tuple[date, str, str, str]:
    return row["collected_on"], row["run_id"], row["provider"], row["recipe"]


def _rows_of(stems: pads.Dataset, track_id: str) -> list[dict[str, Any]]:
    columns = [each for each in (*STEM_COLUMNS, "collected_on", "run_id") if each in stems.schema.names]
    if "track_id" not in columns:
        return []
    found: list[dict[str, Any]] = stems.to_table(
        columns=columns, filter=pc.field("track_id") == track_id
    ).to_pylist()
    return found


def _activity_of(activity: pads.Dataset, stem: Mapping[str, Any]) -> dict[str, Any] | None:
    if "track_id" not in activity.schema.names:
        return None
    chosen = [pc.field(each) == stem[each] for each in _NAMES]
    rows: list[dict[str, Any]] = activity.to_table(
        columns=list(ACTIVITY_COLUMNS), filter=chosen[0] & chosen[1] & chosen[2] & chosen[3]
    ).to_pylist()
    return rows[-1] if rows else None


def _listed(values: Iterable[str]) -> str:
    return ", ".join(sorted(set(values)))
