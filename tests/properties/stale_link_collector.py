"""Where the dispatchers of a schedule put what is ready."""

from __future__ import annotations

from stemline.dispatcher.dispatcher import Dispatcher
from stemline.ledger import Ledger
from stemline.records import CollectedTrack, ReadyTrack, StemFile

STEM = StemFile("vocals", "v.flac", "flac", 44_100, 2, 1, 1.0, 1, "ab", None, None, "ok")


class StaleLinkCollector:
    """Stands in for the ready queue and its collectors: what is ready is collected at once, or has stale links."""

    def __init__(self, ledger: Ledger, stale: dict[int, int]) -> None:
        self.dispatchers: list[Dispatcher] = []
        self._ledger, self._stale = ledger, stale

    def put(self, ready: ReadyTrack) -> None:
        attempt, token, relinks = ready.attempt, ready.attempt.token, []
        number = attempt.track.position
        if self._stale.get(number, 0) > 0:
            self._stale[number] -= 1
            relinks.append(attempt)
        else:
            self._ledger.attempts.record_collected(
                CollectedTrack(token, (STEM,), None, None, None, None, self._ledger.clock())
            )
        for dispatcher in self.dispatchers:
            dispatcher.acknowledge([token], relinks)

    def close(self) -> None:
        """Nothing to do."""
