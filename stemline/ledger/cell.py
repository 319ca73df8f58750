"""Manifest cells as JSON text that reads back as the same Python values.

JSON knows str, int, float, bool, None, list and dict. Anything else becomes a one-key object whose key
begins with `$` (`{"$date": "2024-01-31"}`); a mapping whose own keys could be mistaken for that is stored
as `{"$map": [[key, value], ...]}`.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Callable, Mapping, Sequence
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from typing import Any, TypeAlias
from uuid import UUID

WRITER = json.JSONEncoder(separators=(",", ":"))
_PLAIN = frozenset({str, bool, int, float, type(None)})
"""Types of which JSON has each value by itself."""
Cell: TypeAlias = Any
"""What a manifest cell may hold: whatever DuckDB hands out."""

TYPE_TAGS: tuple[tuple[type, str, Callable[[Any], Any]], ...] = (
    (datetime, "$datetime", datetime.isoformat),  # before date: a datetime is a date too
    (date, "$date", date.isoformat),
    (time, "$time", time.isoformat),
    (timedelta, "$microseconds", lambda value: value // timedelta(microseconds=1)),
    (Decimal, "$decimal", str),
    (bytes, "$bytes", lambda value: base64.b64encode(value).decode("ascii")),
    (UUID, "$uuid", str),
)
READERS: dict[str, Callable[[Any], Any]] = {
    "$datetime": datetime.fromisoformat,
    "$date": date.fromisoformat,
    "$time": time.fromisoformat,
    "$microseconds": lambda value: timedelta(microseconds=value),
    "$decimal": Decimal,
    "$bytes": base64.b64decode,
    "$uuid": UUID,
    "$map": lambda pairs: {decode(key): decode(value) for key, value in pairs},
}


def dump_cells(cells: Mapping[str, Any]) -> str:
    """Give JSON text for a row of cells; raises TypeError for a type that would not survive."""
    return WRITER.encode({name: encode(value) for name, value in cells.items()})


def are_as_written(rows: Sequence[Mapping[str, Any]], written: Sequence[str]) -> bool:
    """Tell at once whether `dump_cells` would write each of these rows as it was written.

    It may say no of rows that are: whoever has to know looks at each by itself.
    """
    if not all(_PLAIN.issuperset(map(type, row.values())) for row in rows):
        return False
    return WRITER.encode(rows) == f"[{','.join(written)}]"


def load_cells(text: str) -> dict[str, Any]:
    """Give the cells that `dump_cells` wrote."""
    return {name: decode(value) for name, value in json.loads(text).items()}


def encode(value: Cell) -> Cell:
    """Give the JSON form of one cell."""
    if value is None or isinstance(value, (str, bool, int, float)):
        return value
    if isinstance(value, (list, tuple)):
        return [encode(item) for item in value]
    if isinstance(value, Mapping):
        return _encode_mapping(value)
    for kind, tag, write in TYPE_TAGS:
        if isinstance(value, kind):
            return {tag: write(value)}
    message = f"a manifest cell of type {type(value).__name__} cannot be kept in the ledger"
    raise TypeError(message)


def decode(value: Cell) -> Cell:
    """Give the cell that `encode` took."""
    if isinstance(value, list):
        return [decode(item) for item in value]
    if not isinstance(value, dict):
        return value
    if len(value) == 1:
        tag, inner = next(iter(value.items()))
        if tag in READERS:
            return READERS[tag](inner)
    return {key: decode(item) for key, item in value.items()}


def _encode_mapping(value: Mapping[Any, Any]) -> dict[str, Any]:
    if all(isinstance(key, str) and not key.startswith("$") for key in value):
        return {key: encode(item) for key, item in value.items()}
    return {"$map": [[encode(key), encode(item)] for key, item in value.items()]}
