"""Where simulated dispatchers put what is ready."""

from __future__ import annotations

from stemline.dispatcher.worker import Worker
from stemline.ledger import Ledger
from stemline.records import CollectedTrack, ReadyTrack, StemFile

STEM = StemFile("vocals", "v.flac", "flac", 44_100, 2, 1, 1.0, 1, "ab", None, None, "ok")


class Shelf:
    """Stands in for the outbox and the collectors behind it: what is ready is collected at once, or has stale links."""

    def __init__(self, ledger: Ledger, stale: dict[int, int]) -> None:
        self.workers: list[Worker] = []
        self._ledger, self._stale = ledger, stale

    def put(self, ready: ReadyTrack) -> None:
        attempt, token, relinks = ready.attempt, ready.attempt.token, []
        number = attempt.track.position
        if self._stale.get(number, 0) > 0:
            self._stale[number] -= 1
            relinks.append(attempt)
        else:
            self._ledger.record_collected(
                CollectedTrack(token, (STEM,), None, None, None, None, self._ledger.clock())
            )
        for worker in self.workers:
            worker.settle([token], relinks)

    def hurry(self, *, is_hurried: bool) -> None:
        """Nothing waits here."""

    def close(self) -> None:
        """Nothing to do."""
