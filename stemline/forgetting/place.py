"""A place that may hold something of a track: what is there of it, and how it is emptied."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from stemline.forgetting.order import ForgetOrder


@dataclass(frozen=True, slots=True)
class Finding:
    """What a place holds of the tracks; nothing of it once it is emptied."""

    objects: int = 0
    """Files or objects that go, or are written anew without the tracks."""
    rows: int = 0
    bytes: int = 0
    """Of objects that go."""
    names: tuple[str, ...] = ()
    """Which, where a person can make something of it."""

    def __bool__(self) -> bool:
        """Tell whether there is anything."""
        return bool(self.objects or self.rows)

    def as_tree(self) -> dict[str, int]:
        """Give the counts."""
        return {"objects": self.objects, "rows": self.rows, "bytes": self.bytes}


class Place(Protocol):
    """Where something of a track may be."""

    @property
    def name(self) -> str:
        """Give what it is called in a certificate."""

    def find(self, order: ForgetOrder) -> Finding:
        """Look what is there; nothing is changed."""

    def empty(self, order: ForgetOrder) -> None:
        """Take it out; what is out already is no error."""
