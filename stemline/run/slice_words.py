"""Which slice of a backfill a run is at, in words; asked of the ledger seldom: of a million rows it takes seconds."""

from __future__ import annotations

import time
from dataclasses import dataclass

from stemline.ledger import Ledger

LEAST_SECONDS = 10.0
"""It is not asked more often."""
SHARE = 0.05
"""At most this part of the time is spent asking."""
LAST_SECONDS = 2.0
"""It is asked once more when a run ends, where that took no longer before."""


@dataclass
class SliceWords:
    """What is said of a backfill's slices while one of its runs goes on."""

    ledger: Ledger
    name: str | None
    """Of the backfill; None: the run is part of none, and nothing is said."""
    _words: str = ""
    _ask_at: float = 0.0
    _took: float = 0.0

    def read(self) -> str:
        """Say it as it was within the last seconds, such as `slice 2016-05: 3 of 40; 2 of 12 slices done`."""
        if self.name is None or time.monotonic() < self._ask_at:
            return self._words
        return self._ask(self.name)

    def read_last(self) -> str:
        """Say it as it is when a run ends: nothing where asking takes long, rather than what it was before."""
        return self._ask(self.name) if self.name is not None and self._took <= LAST_SECONDS else ""

    def _ask(self, name: str) -> str:
        began = time.monotonic()
        progress = self.ledger.backfills.progress(name)
        under_way = [each for each in progress if each.done < each.tracks]
        done = f"{len(progress) - len(under_way):,} of {len(progress):,} slices done"
        first = (
            f"slice {under_way[0].slice}: {under_way[0].done:,} of {under_way[0].tracks:,}; "
            if under_way
            else ""
        )
        self._words = first + done
        self._took = time.monotonic() - began
        self._ask_at = began + max(LEAST_SECONDS, self._took / SHARE)
        return self._words
