"""Tracks collected in threads of this process."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from queue import Empty, SimpleQueue

from stemline.collector.batch import open_collector
from stemline.collector.pool import Report
from stemline.collector.target import CollectResult, CollectTarget
from stemline.records import ReadyTrack

SPARE = 1
"""So many tracks wait for a thread: it need not wait for them."""
CLOSE_SECONDS = 5.0
"""How long threads may take to end that were told to; what a dead connection holds ends with the process."""


class ThreadRunner:
    """A few threads that collect one track each at a time."""

    def __init__(self, collect: Callable[[ReadyTrack], CollectResult], threads: int) -> None:
        """Start so many threads."""
        self.room = threads + SPARE
        self._collect = collect
        self._waiting: SimpleQueue[tuple[ReadyTrack, Report] | None] = SimpleQueue()
        self._threads = [
            threading.Thread(target=self._work, name=f"collector-{number}", daemon=True)
            for number in range(threads)
        ]
        for thread in self._threads:
            thread.start()

    def submit(self, ready: ReadyTrack, report: Report) -> None:
        """Have a track collected by the next thread that is free."""
        self._waiting.put((ready, report))

    def close(self) -> None:
        """Begin nothing more, and wait for the threads, though not for ever."""
        with suppress(Empty):
            while True:
                self._waiting.get_nowait()
        for _ in self._threads:
            self._waiting.put(None)
        end = time.monotonic() + CLOSE_SECONDS
        for thread in self._threads:
            thread.join(max(0.0, end - time.monotonic()))

    def _work(self) -> None:
        while (given := self._waiting.get()) is not None:
            ready, report = given
            try:
                result: CollectResult | BaseException = self._collect(ready)
            except BaseException as error:  # noqa: BLE001 - raised where the track is booked
                result = error
            report(ready, result)


@contextmanager
def thread_runner(target: CollectTarget) -> Iterator[ThreadRunner]:
    """Give a runner of as many threads as the target says; what they are at when the `with` block ends is cut off."""
    with open_collector(target) as collector:
        runner = ThreadRunner(collector.collect, target.concurrency)
        try:
            yield runner
        finally:
            collector.stop()
            runner.close()
