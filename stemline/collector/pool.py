"""Ready tracks collected side by side, and what came of each as it comes: a slow one holds up no other.

Tracks are pushed to a runner as they become ready and there is room; what a runner is made of, threads or machines
elsewhere, is its own affair. No runner touches the ledger: what came of a track is booked by whoever takes it here.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from enum import Enum
from queue import Empty, SimpleQueue
from typing import Protocol, TypeAlias

from stemline.collector.target import CollectResult
from stemline.records import ReadyTrack

Report: TypeAlias = Callable[[ReadyTrack, CollectResult | BaseException], None]


class PoolSignal(Enum):
    """What the thread that books is told besides results."""

    OVER = "nothing more will come"
    WAKE = "look again"


class TrackRunner(Protocol):
    """Where tracks are collected."""

    room: int
    """How many it takes at once: those at work, and the few that wait for a place."""

    def submit(self, ready: ReadyTrack, report: Report) -> None:
        """Have a track collected; `report` is called once, from whatever thread, with what came of it."""


class CollectPool:
    """Tracks on their way through a runner, seen from the thread that books what comes of them."""

    def __init__(self, ready: Iterator[ReadyTrack], runner: TrackRunner) -> None:
        """Prepare to push what `ready` gives, which may block; `collecting` starts it."""
        self.is_over = False
        """Whether nothing more will come."""
        self._ready, self._runner = ready, runner
        # One is taken from `ready` when there is room for it, so that what expires first goes first.
        self._room = threading.Semaphore(runner.room - 1)
        self._is_left = False
        self._finished: SimpleQueue[tuple[ReadyTrack, CollectResult | BaseException] | PoolSignal] = (
            SimpleQueue()
        )
        self._feeder = threading.Thread(target=self._feed, name="collecting", daemon=True)

    def start(self) -> None:
        """Start to push."""
        self._feeder.start()

    def take(self, within: float | None = None) -> tuple[ReadyTrack, CollectResult] | None:
        """Give the next track that is finished and what came of it; None: none was, within so many seconds or at all.

        Raises what collecting it died of.
        """
        try:
            found = self._finished.get(timeout=within)
        except Empty:
            return None
        if isinstance(found, PoolSignal):
            self.is_over = self.is_over or found is PoolSignal.OVER
            return None
        ready, result = found
        if isinstance(result, BaseException):
            raise result
        return ready, result

    def wake(self) -> None:
        """Have `take` give nothing at once; a signal handler may call it."""
        self._finished.put(PoolSignal.WAKE)

    def leave(self) -> None:
        """Push nothing more, and wait for nothing that is in hand."""
        self._is_left = True
        self._room.release(self._runner.room)

    def _feed(self) -> None:
        for ready in self._ready:
            if not self._is_left:
                self._runner.submit(ready, self._report)
                self._room.acquire()
        for _ in range(self._runner.room - 1):  # until none is in hand, or they are left
            self._room.acquire()
        self._finished.put(PoolSignal.OVER)

    def _report(self, ready: ReadyTrack, result: CollectResult | BaseException) -> None:
        self._finished.put((ready, result))
        self._room.release()


@contextmanager
def collecting(ready: Iterator[ReadyTrack], runner: TrackRunner) -> Iterator[CollectPool]:
    """Push ready tracks to a runner for the length of a `with` block; give where they come out."""
    pool = CollectPool(ready, runner)
    pool.start()
    try:
        yield pool
    finally:
        pool.leave()
