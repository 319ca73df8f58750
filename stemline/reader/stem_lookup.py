"""One stem looked up by its names."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import date
from typing import Any, NamedTuple

from stemline.errors import UsageError
from stemline.reader.stem_place import ACTIVITY_COLUMNS, STEM_COLUMNS, EmbeddedPlace, StemPlace, stem_place
from stemline.reader.tables import PART, ROW, OpenTables

_NAMES = ("track_id", "stem", "provider", "recipe")


@dataclass(frozen=True, slots=True)
class StemName:
    """What a stem is asked for by; of several providers and recipes the newest is meant where none is named."""

    track_id: str
    stem: str
    provider: str | None = None
    recipe: str | None = None


def find_stem(name: StemName, tables: OpenTables) -> StemPlace:
    """Give where a stem is.

    Raises:
        UsageError: there is none of this name; it tells which there are.
    """
    row = max(_asked(name, tables), key=_age)
    names = [row[each] for each in _NAMES]
    activity = tables.rows_of("activity", name.track_id, (*_NAMES, *ACTIVITY_COLUMNS))
    seconds = [each for each in activity if [each[name] for name in _NAMES] == names]
    embedded = None if "path" in row else EmbeddedPlace(row[PART], row[ROW])
    return stem_place(row, seconds[-1] if seconds else None, embedded)


class SoughtTrack(NamedTuple):
    """A track as one provider and recipe made it."""

    track_id: str
    provider: str
    recipe: str


def track_places(track: SoughtTrack, tables: OpenTables) -> dict[str, StemPlace]:
    """Give where all stems of a track are, by their names; of those that are there twice the newer."""
    rows = tables.rows_of("stems", track.track_id, (*STEM_COLUMNS, "collected_on", "run_id"))
    activity = {
        row["stem"]: row
        for row in tables.rows_of("activity", track.track_id, (*_NAMES, *ACTIVITY_COLUMNS))
        if (row["provider"], row["recipe"]) == track[1:]
    }
    return {
        row["stem"]: stem_place(
            row, activity.get(row["stem"]), None if "path" in row else EmbeddedPlace(row[PART], row[ROW])
        )
        for row in sorted(rows, key=_age)
        if (row["provider"], row["recipe"]) == track[1:]
    }


def _asked(name: StemName, tables: OpenTables) -> list[dict[str, Any]]:
    """Give the rows of stems that a name may mean; at least one."""
    rows = tables.rows_of("stems", name.track_id, (*STEM_COLUMNS, "collected_on", "run_id"))
    if not rows:
        raise UsageError(
            f"The dataset has no track {name.track_id!r}.", fix="Those it has are in the table tracks."
        )
    kept = [row for row in rows if _is_asked(row, name)]
    if not kept:
        asked = " and ".join(each for each in (name.provider, name.recipe) if each)
        made = _listed(f"{row['provider']} ({row['recipe']})" for row in rows)
        raise UsageError(
            f"The track {name.track_id!r} has no stems by {asked}.", fix=f"It has those by {made}."
        )
    found = [row for row in kept if row["stem"] == name.stem]
    if not found:
        raise UsageError(
            f"The track {name.track_id!r} has no stem {name.stem!r}.",
            fix=f"It has {_listed(row['stem'] for row in kept)}.",
        )
    return found


def _is_asked(row: Mapping[str, Any], name: StemName) -> bool:
    return name.provider in (None, row["provider"]) and name.recipe in (None, row["recipe"])


def _age(row: Mapping[str, Any]) -> tuple[date, str, str, str]:
    return row["collected_on"], row["run_id"], row["provider"], row["recipe"]


def _listed(values: Iterable[str]) -> str:
    return ", ".join(sorted(set(values)))
