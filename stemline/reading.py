"""Values read from what a vendor sends: null, unknown fields and wrong types are survived, never an error."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

_LARGEST = 1e15
"""No figure of a vendor's is larger; infinities and what overflows are."""


def parse_object(body: bytes) -> dict[str, Any] | None:
    """Give the JSON object a body holds, None when it holds none."""
    try:
        found = json.loads(body)
    except (ValueError, RecursionError):
        return None
    return found if isinstance(found, dict) else None


def part(tree: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    """Give an object inside another, an empty one for null and for anything else."""
    found = tree.get(name)
    return found if isinstance(found, dict) else {}


def text(value: object) -> str | None:
    """Give a text, None for an empty one and for anything else."""
    return value if isinstance(value, str) and value else None


def number(value: object) -> float | None:
    """Give a finite number, None for anything else."""
    if not isinstance(value, int | float) or isinstance(value, bool):
        return None
    return float(value) if abs(value) < _LARGEST else None


def whole(value: object) -> int | None:
    """Give a whole number, rounded up: credits are."""
    exact = number(value)
    return None if exact is None else math.ceil(exact)


def instant(value: object) -> datetime | None:
    """Give an instant in UTC, None for anything else."""
    if not isinstance(value, str):
        return None
    try:
        found = datetime.fromisoformat(value)
        return (found if found.tzinfo else found.replace(tzinfo=UTC)).astimezone(UTC)
    except (ValueError, OverflowError):
        return None
