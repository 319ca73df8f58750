"""Where ready tracks wait to be collected, and are taken in batches by another thread."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator

from stemline.records import ReadyTrack


class ReadyProducer:
    """One dispatcher's way into the ready queue."""

    def __init__(self, ready_queue: ReadyQueue) -> None:
        """Fill one queue."""
        self._ready_queue = ready_queue
        self.is_idle = False
        self.is_closed = False

    def put(self, ready: ReadyTrack) -> None:
        """Add a track."""
        self._ready_queue.put(ready)

    def set_idle(self, *, is_idle: bool) -> None:
        """Say whether waiting for more tracks from here is of no use at present."""
        self.is_idle = is_idle
        self._ready_queue.wake()

    def close(self) -> None:
        """Say that no track will follow from here."""
        self.is_closed = True
        self._ready_queue.wake()


class ReadyQueue:
    """Ready tracks, given in batches: when there are many, when the first has waited long, or when no more will come.

    Each dispatcher fills it through a producer: only when no producer has more to come is there nothing to wait for.
    """

    def __init__(self, batch_tracks: int, batch_seconds: float, producers: int = 1) -> None:
        """Set what many and long mean, and how many producers there are."""
        self.producers = [ReadyProducer(self) for _ in range(producers)]
        self._batch_tracks, self._batch_seconds = batch_tracks, batch_seconds
        self._waiting: list[ReadyTrack] = []
        self._since = 0.0
        self._changed = threading.Condition()

    def put(self, ready: ReadyTrack) -> None:
        """Add a track."""
        with self._changed:
            if not self._waiting:
                self._since = time.monotonic()
            self._waiting.append(ready)
            self._changed.notify_all()

    def close(self) -> None:
        """Say that no track will follow from anywhere."""
        for producer in self.producers:
            producer.close()

    def wake(self) -> None:
        """Take note that a producer has changed."""
        with self._changed:
            self._changed.notify_all()

    def batches(self) -> Iterator[list[ReadyTrack]]:
        """Give batch after batch, blocking between them, until the queue is closed and empty."""
        while batch := self._next():
            yield batch

    def _next(self) -> list[ReadyTrack]:
        with self._changed:
            while not self._is_due():
                if self._is_closed() and not self._waiting:
                    return []
                self._changed.wait(self._seconds_left())
            batch = self._waiting[: self._batch_tracks]
            self._waiting = self._waiting[self._batch_tracks :]
            self._since = time.monotonic()
            return batch

    def _is_due(self) -> bool:
        if not self._waiting:
            return False
        is_full = len(self._waiting) >= self._batch_tracks
        is_idle = all(producer.is_idle or producer.is_closed for producer in self.producers)
        return is_full or is_idle or self._seconds_left() == 0

    def _is_closed(self) -> bool:
        return all(producer.is_closed for producer in self.producers)

    def _seconds_left(self) -> float | None:
        """Give how long the first track still waits for company; None when there is none."""
        if not self._waiting:
            return None
        return max(0.0, self._since + self._batch_seconds - time.monotonic())
