"""What the dispatchers of one run share: the queue of planned tracks, and how many failed."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field
from threading import Lock

from stemline.ledger import Ledger
from stemline.records import Track

PAGE_TRACKS = 200


@dataclass
class Line:
    """The run's line of planned tracks. Every dispatcher takes from its head; any thread may call."""

    ledger: Ledger
    run_id: str
    key_ids: tuple[str, ...] = ()
    """The API keys that submit."""
    _are_strays_taken: bool = False
    _page: deque[Track] = field(default_factory=deque)
    _failed: int = 0
    _lock: Lock = field(default_factory=Lock)

    def next_track(self) -> Track | None:
        """Give the track whose turn it is; None when no track is planned at present."""
        with self._lock:
            if not self._page:
                self._page.extend(self.ledger.next_planned(self.run_id, PAGE_TRACKS))
            return self._page.popleft() if self._page else None

    def take_strays(self) -> bool:
        """Tell whether the caller is the first to ask: attempts of other keys are looked after by one dispatcher."""
        with self._lock:
            is_first = not self._are_strays_taken
            self._are_strays_taken = True
            return is_first

    def read_again(self) -> None:
        """Forget what was read of the ledger: it has changed."""
        with self._lock:
            self._page.clear()

    def retry_failed(self, max_attempts: int) -> bool:
        """Put failures that may be tried again back in line; give whether there are any."""
        return bool(self.ledger.retry_failed(self.run_id, max_attempts=max_attempts))

    def count_failure(self) -> int:
        """Count one more failed track, and give how many there are."""
        with self._lock:
            self._failed += 1
            return self._failed
