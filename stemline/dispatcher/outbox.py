"""Where ready tracks wait to be collected, and are taken in batches by another thread."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator

from stemline.records import ReadyTrack


class Outbox:
    """Ready tracks, handed over when there are many, when the first has waited long, or when no more will come."""

    def __init__(self, batch_tracks: int, batch_seconds: float) -> None:
        """Set what many and long mean."""
        self._batch_tracks, self._batch_seconds = batch_tracks, batch_seconds
        self._waiting: list[ReadyTrack] = []
        self._since = 0.0
        self._is_hurried = False
        self._is_closed = False
        self._changed = threading.Condition()

    def put(self, ready: ReadyTrack) -> None:
        """Add a track."""
        with self._changed:
            if not self._waiting:
                self._since = time.monotonic()
            self._waiting.append(ready)
            self._changed.notify_all()

    def hurry(self, *, is_hurried: bool) -> None:
        """Say whether waiting for more tracks is of no use at present."""
        with self._changed:
            self._is_hurried = is_hurried
            self._changed.notify_all()

    def close(self) -> None:
        """Say that no track will follow."""
        with self._changed:
            self._is_closed = True
            self._changed.notify_all()

    def batches(self) -> Iterator[list[ReadyTrack]]:
        """Give batch after batch, blocking between them, until the outbox is closed and empty."""
        while batch := self._next():
            yield batch

    def _next(self) -> list[ReadyTrack]:
        with self._changed:
            while not self._is_due():
                if self._is_closed and not self._waiting:
                    return []
                self._changed.wait(self._patience())
            batch = self._waiting[: self._batch_tracks]
            self._waiting = self._waiting[self._batch_tracks :]
            self._since = time.monotonic()
            return batch

    def _is_due(self) -> bool:
        if not self._waiting:
            return False
        is_full = len(self._waiting) >= self._batch_tracks
        return is_full or self._is_hurried or self._is_closed or self._patience() == 0

    def _patience(self) -> float | None:
        """Give how long the first track still waits for company; None when there is none."""
        if not self._waiting:
            return None
        return max(0.0, self._since + self._batch_seconds - time.monotonic())
