"""The types of a manifest's JSON objects: one for each member, which holds every value of it."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping

from stemline.manifest.view import OURS, TEXT_NAMES

JsonStructure = str | list["JsonStructure"] | dict[str, "JsonStructure"]
"""Types of JSON values as DuckDB's json_structure writes them: a name, a list's element, an object's members."""

_NOTHING = "NULL"
TEXT = "VARCHAR"
NUMBERS = ("UBIGINT", "BIGINT", "HUGEINT", "DOUBLE")
"""From narrow to wide; text is what nothing narrower holds."""


def member_names(keys: Iterable[str]) -> dict[str, str]:
    """Give each key a column's name of its own: DuckDB and others see no difference in case."""
    names: dict[str, str] = {}
    taken: set[str] = set()
    for place, key in enumerate(keys, start=1):
        name, number = key.strip() or f"column_{place}", 2
        while name.lower() in taken:
            name, number = f"{key.strip()}_{number}", number + 1
        taken.add(name.lower())
        names[key] = name
    return names


def merge_structures(
    structures: Iterable[str], kept: Mapping[str, JsonStructure]
) -> dict[str, JsonStructure]:
    """Give the members of all objects with types that hold every value of theirs.

    Members of mixed types, members that are null throughout, and those that are text by meaning are text. An object
    without members is one of which all are missing; `kept` says which ones there are where no other object does.
    """
    members: dict[str, JsonStructure] = {}
    for structure in map(json.loads, structures):
        # An object without members has no structure of its own.
        for name, kind in structure.items() if isinstance(structure, dict) else ():
            found = kind if kept.get(name) == TEXT else _with_empty_objects(kind)
            members[name] = _merge(members.get(name, _NOTHING), found)
    texts = TEXT_NAMES.union(OURS)
    return {
        name: TEXT if name.lower() in texts else _concrete(kind, kept.get(name, TEXT))
        for name, kind in members.items()
    }


def _with_empty_objects(kind: JsonStructure) -> JsonStructure:
    """Give a structure with `{}` for objects without members: what DuckDB calls JSON, within lists mixed ones too."""
    if isinstance(kind, dict):
        return {name: _with_empty_objects(inner) for name, inner in kind.items()}
    return {} if kind == "JSON" else kind


def _merge(one: JsonStructure, other: JsonStructure) -> JsonStructure:
    if _NOTHING in (one, other):
        return other if one == _NOTHING else one
    if isinstance(one, dict) and isinstance(other, dict):
        return {name: _merge(one.get(name, _NOTHING), other.get(name, _NOTHING)) for name in {**one, **other}}
    if isinstance(one, list) and isinstance(other, list):
        return [_merge(one[0] if one else _NOTHING, other[0] if other else _NOTHING)]
    if one in NUMBERS and other in NUMBERS:
        return max(one, other, key=lambda kind: NUMBERS.index(str(kind)))
    return one if one == other else TEXT


def _concrete(kind: JsonStructure, kept: JsonStructure) -> JsonStructure:
    if isinstance(kind, dict):
        names = {name.lower() for name in kind}
        if len(names) < len(kind) or "" in names:
            return TEXT  # not every reader could tell its members apart
        inner_kept = kept if isinstance(kept, dict) else {}
        return (
            {name: _concrete(inner, inner_kept.get(name, TEXT)) for name, inner in kind.items()}
            or inner_kept
            or TEXT
        )
    if isinstance(kind, list):
        return [_concrete(inner, kept[0] if isinstance(kept, list) else TEXT) for inner in kind] or [TEXT]
    return TEXT if kind in (_NOTHING, "JSON") else "BIGINT" if kind in ("UBIGINT", "HUGEINT") else kind
