"""What stands in for the outbox and the collectors behind it: every ready track counts as collected at once."""

from __future__ import annotations

from array import array

from benchmarks.simulation.account import Account
from stemline.clock import loop_time
from stemline.dispatcher.worker import Worker
from stemline.ledger import Ledger
from stemline.records import CollectedTrack, ReadyTrack, StemFile

STEM = StemFile("vocals", "v.mp3", "mp3", 44_100, 2, 1, 1.0, 1, "ab", None, None, "ok")


class Shelf:
    """One dispatcher's chute. The real outbox belongs to another thread, which has another clock."""

    def __init__(self, ledger: Ledger, account: Account) -> None:
        """Begin empty."""
        self.worker: Worker | None = None
        self.done_at = array("d")
        self.collected_at = array("d")
        self._ledger, self._account = ledger, account

    def put(self, ready: ReadyTrack) -> None:
        """Book a track as collected, and say so to the dispatcher."""
        now, token = self._ledger.clock(), ready.attempt.token
        self._ledger.record_collected(
            CollectedTrack(token, (STEM,), 120.0, "Am", "provider", "provider", now)
        )
        self.done_at.append(self._account.jobs[ready.job.job_id].done_at)
        self.collected_at.append(loop_time())
        if self.worker is not None:
            self.worker.settle([token], [])

    def hurry(self, *, is_hurried: bool) -> None:
        """Nothing to do: nothing waits here."""

    def close(self) -> None:
        """Nothing to do."""
