"""The rows a plan was made of, as digests that tell later which rows are new, gone or changed."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from typing import TypeAlias

from stemline.records import Track

MOST_ROWS = 100_000
"""Of more rows than this a plan keeps their number and their digest alone."""
_MODULUS = 1 << 128
UNKNOWN = "?"
Row: TypeAlias = str
"""A digest of the location, a space, and the credits; UNKNOWN where the length was not probed."""


class RowDigest:
    """Digests of usable rows, the same in whatever order they come."""

    def __init__(self) -> None:
        """Begin with no rows."""
        self.count = 0
        self.by_id: dict[str, Row] | None = {}
        """None: there are too many."""
        self._whole = self._places = 0

    def add(self, tracks: Iterable[Track]) -> None:
        """Add tracks."""
        for track in tracks:
            self.count += 1
            place = _place(track)
            self._places += int.from_bytes(place[:16])
            whole = hashlib.sha256(place + str(track.credits).encode()).digest()
            self._whole += int.from_bytes(whole[:16])
            if self.by_id is not None:
                self.by_id[track.track_id] = _row(place, track)
        if self.count > MOST_ROWS:
            self.by_id = None

    @property
    def digest(self) -> str:
        """Give the digest of every row's track id, location and credits."""
        return f"{self._whole % _MODULUS:032x}"

    @property
    def places_digest(self) -> str:
        """Give the digest of every row's track id and location: it is the same once tracks are finished."""
        return f"{self._places % _MODULUS:032x}"


def row_of(track: Track) -> Row:
    """Give a row's digest and credits, as `compare_rows` takes them."""
    return _row(_place(track), track)


def _place(track: Track) -> bytes:
    return hashlib.sha256(f"{track.track_id}\0{track.location}".encode()).digest()


def _row(place: bytes, track: Track) -> Row:
    return f"{place[:6].hex()} {UNKNOWN if track.credits is None else track.credits}"


def compare_rows(before: Mapping[str, Row], after: Mapping[str, Row]) -> dict[str, list[str]]:
    """Give the ids of rows that are `new`, `gone` or `changed`, in order.

    Credits that one of the two does not know are no change: the length of finished tracks is not probed.
    """
    return {
        "new": sorted(after.keys() - before.keys()),
        "gone": sorted(before.keys() - after.keys()),
        "changed": sorted(
            track_id
            for track_id in before.keys() & after.keys()
            if _differ(before[track_id], after[track_id])
        ),
    }


def _differ(one: Row, other: Row) -> bool:
    (place, credits_), (other_place, other_credits) = one.split(), other.split()
    is_known = UNKNOWN not in (credits_, other_credits)
    return place != other_place or (is_known and credits_ != other_credits)
