"""The types of JSON objects: one shape that all of them fit."""

from __future__ import annotations

import json
from collections.abc import Iterable

from stemline.manifest.view import OURS, TEXT_NAMES

Shape = str | list["Shape"] | dict[str, "Shape"]
"""A shape as DuckDB's json_structure writes it: a type's name, a list's element, an object's members."""

_NOTHING = "NULL"
_TEXT = "VARCHAR"
_NUMBERS = ("UBIGINT", "BIGINT", "HUGEINT", "DOUBLE")
"""From narrow to wide; text is what nothing narrower holds."""


def merged_shape(shapes: Iterable[str]) -> dict[str, Shape]:
    """Give the members of all objects with types that hold every value of theirs.

    Members of mixed types, members that are null throughout, and those that are text by meaning are text.
    """
    members: dict[str, Shape] = {}
    for shape in map(json.loads, shapes):
        # An object without members has no structure of its own.
        for name, kind in shape.items() if isinstance(shape, dict) else ():
            members[name] = _merge(members.get(name, _NOTHING), kind)
    texts = TEXT_NAMES.union(OURS)
    return {name: _TEXT if name.lower() in texts else _settled(kind) for name, kind in members.items()}


def _merge(one: Shape, other: Shape) -> Shape:
    if _NOTHING in (one, other):
        return other if one == _NOTHING else one
    if isinstance(one, dict) and isinstance(other, dict):
        return {name: _merge(one.get(name, _NOTHING), other.get(name, _NOTHING)) for name in {**one, **other}}
    if isinstance(one, list) and isinstance(other, list):
        return [_merge(one[0] if one else _NOTHING, other[0] if other else _NOTHING)]
    if one in _NUMBERS and other in _NUMBERS:
        return max(one, other, key=lambda kind: _NUMBERS.index(str(kind)))
    return one if one == other else _TEXT


def _settled(kind: Shape) -> Shape:
    if isinstance(kind, dict):
        return {name: _settled(inner) for name, inner in kind.items()} or _TEXT
    if isinstance(kind, list):
        return [_settled(inner) for inner in kind] or [_TEXT]
    return _TEXT if kind in (_NOTHING, "JSON") else kind
