"""What the dispatchers of one run share: the queue of planned tracks, and how many failed."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field
from threading import Lock

from stemline.ledger import Ledger
from stemline.records import Track

PAGE_TRACKS = 200


@dataclass
class TrackQueue:
    """The run's queue of planned tracks. Every dispatcher takes from its head; any thread may call."""

    ledger: Ledger
    run_id: str
    key_ids: tuple[str, ...] = ()
    """The API keys that submit."""
    _are_orphans_claimed: bool = False
    _page: deque[Track] = field(default_factory=deque)
    _failed: int = 0
    _lock: Lock = field(default_factory=Lock)

    def next_track(self) -> Track | None:
        """Give the next track; None when no track is planned at present."""
        with self._lock:
            if not self._page:
                self._page.extend(self.ledger.tracks.next_planned(self.run_id, PAGE_TRACKS))
            return self._page.popleft() if self._page else None

    def claim_orphans(self) -> bool:
        """Tell whether the caller is the first to ask: attempts of other keys belong to one dispatcher."""
        with self._lock:
            is_first = not self._are_orphans_claimed
            self._are_orphans_claimed = True
            return is_first

    def refresh(self) -> None:
        """Forget what was read of the ledger: it has changed."""
        with self._lock:
            self._page.clear()

    def retry_failed(self, max_attempts: int) -> bool:
        """Put failures that may be tried again back into the queue; give whether there are any."""
        return bool(self.ledger.tracks.retry_failed(self.run_id, max_attempts=max_attempts))

    def count_failure(self) -> int:
        """Count one more failed track, and give how many there are."""
        with self._lock:
            self._failed += 1
            return self._failed
