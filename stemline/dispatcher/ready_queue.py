"""Where ready tracks wait to be collected, until another thread takes them one by one."""

from __future__ import annotations

import heapq
import threading
from collections.abc import Iterator
from datetime import datetime
from itertools import count

from stemline.records import ReadyTrack


class ReadyProducer:
    """One dispatcher's way into the ready queue."""

    def __init__(self, ready_queue: ReadyQueue) -> None:
        """Fill one queue."""
        self._ready_queue = ready_queue
        self.is_closed = False

    def put(self, ready: ReadyTrack) -> None:
        """Add a track."""
        self._ready_queue.put(ready)

    def close(self) -> None:
        """Say that no track will follow from here."""
        self.is_closed = True
        self._ready_queue.wake()


class ReadyQueue:
    """Ready tracks, given one by one, those first whose links expire first.

    Each dispatcher fills it through a producer: it ends when no producer has more to come and nothing waits.
    """

    def __init__(self, producers: int = 1) -> None:
        """Begin empty, to be filled by so many producers."""
        self.producers = [ReadyProducer(self) for _ in range(producers)]
        self._waiting: list[tuple[datetime, int, ReadyTrack]] = []
        self._numbers = count()
        self._changed = threading.Condition()

    def put(self, ready: ReadyTrack) -> None:
        """Add a track."""
        with self._changed:
            heapq.heappush(self._waiting, (ready.job.links_expire_at, next(self._numbers), ready))
            self._changed.notify_all()

    def close(self) -> None:
        """Say that no track will follow from anywhere."""
        for producer in self.producers:
            producer.close()

    def wake(self) -> None:
        """Take note that a producer has changed."""
        with self._changed:
            self._changed.notify_all()

    def tracks(self) -> Iterator[ReadyTrack]:
        """Give track after track, blocking between them, until the queue is closed and empty."""
        while (ready := self._take()) is not None:
            yield ready

    def _take(self) -> ReadyTrack | None:
        with self._changed:
            while not self._waiting:
                if self._is_closed():
                    return None
                self._changed.wait()
            return heapq.heappop(self._waiting)[-1]

    def _is_closed(self) -> bool:
        return all(producer.is_closed for producer in self.producers)
