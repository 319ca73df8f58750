"""New tracks whose files are published already under another id: each is another track, and paid for again."""

from __future__ import annotations

from array import array
from collections.abc import Iterable
from dataclasses import dataclass, field
from itertools import islice
from typing import Any

import numpy as np

from stemline.records import Track
from stemline.wording import counted

SHOWN = 3
_LOCATIONS_AT_ONCE = 10_000


@dataclass
class PaidFiles:
    """Holds the locations of new tracks against those that are published; sixteen bytes a track."""

    rows: list[int] = field(default_factory=list)
    """The manifest's rows of those that were found."""
    _keys: array[int] = field(default_factory=lambda: array("q"))
    _rows: array[int] = field(default_factory=lambda: array("q"))

    def add(self, track: Track) -> None:
        """Take in a track that would be paid for."""
        self._keys.append(hash(track.location))
        self._rows.append(track.position)

    def compare(self, published: Iterable[str]) -> None:
        """Find those that are among the locations of published tracks: of other ids, or they would not be new."""
        if not self._keys:
            return
        keys = np.array(self._keys, np.int64)
        order, left = np.argsort(keys), iter(published)
        keys, found = keys[order], np.zeros(len(keys), bool)
        while some := [hash(location) for location in islice(left, _LOCATIONS_AT_ONCE)]:
            begins, ends = (np.searchsorted(keys, some, side) for side in ("left", "right"))
            for place in np.flatnonzero(begins < ends):
                found[begins[place] : ends[place]] = True
        self.rows = sorted(self._rows[place] for place in order[found])

    def sentence(self) -> str:
        """Say how many there are, and which; empty where there is none."""
        if not self.rows:
            return ""
        count = len(self.rows)
        names, files, ids, are = (
            ("names", "a file", "another id", "is") if count == 1 else ("name", "files", "other ids", "are")
        )
        rows = f"row{'s' if count > 1 else ''} {', '.join(f'{row:,}' for row in self.rows[:SHOWN])}"
        more = f" and {count - SHOWN:,} more" if count > SHOWN else ""
        return (
            f"{counted(count, 'new track')} {names} {files} that {are} published already under {ids}, and will be paid "
            f"for again: {rows}{more}"
        )

    def as_tree(self) -> dict[str, Any]:
        """Give it for `--json`."""
        return {"tracks": len(self.rows), "rows": self.rows[:SHOWN]}
