"""Where ready tracks wait to be collected, and are taken in batches by another thread."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator

from stemline.records import ReadyTrack


class Chute:
    """One dispatcher's way into the outbox."""

    def __init__(self, outbox: Outbox) -> None:
        """Lead to an outbox."""
        self._outbox = outbox
        self.is_idle = False
        self.is_closed = False

    def put(self, ready: ReadyTrack) -> None:
        """Add a track."""
        self._outbox.put(ready)

    def hurry(self, *, is_hurried: bool) -> None:
        """Say whether waiting for more tracks from here is of no use at present."""
        self.is_idle = is_hurried
        self._outbox.look_again()

    def close(self) -> None:
        """Say that no track will follow from here."""
        self.is_closed = True
        self._outbox.look_again()


class Outbox:
    """Ready tracks, handed over when there are many, when the first has waited long, or when no more will come.

    Dispatchers fill it through a chute each: only when no chute brings anything is there nothing to wait for.
    """

    def __init__(self, batch_tracks: int, batch_seconds: float, chutes: int = 1) -> None:
        """Set what many and long mean, and how many chutes lead here."""
        self.chutes = [Chute(self) for _ in range(chutes)]
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
        for chute in self.chutes:
            chute.close()

    def look_again(self) -> None:
        """Take note that a chute has changed."""
        with self._changed:
            self._changed.notify_all()

    def batches(self) -> Iterator[list[ReadyTrack]]:
        """Give batch after batch, blocking between them, until the outbox is closed and empty."""
        while batch := self._next():
            yield batch

    def _next(self) -> list[ReadyTrack]:
        with self._changed:
            while not self._is_due():
                if self._is_closed() and not self._waiting:
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
        is_idle = all(chute.is_idle or chute.is_closed for chute in self.chutes)
        return is_full or is_idle or self._patience() == 0

    def _is_closed(self) -> bool:
        return all(chute.is_closed for chute in self.chutes)

    def _patience(self) -> float | None:
        """Give how long the first track still waits for company; None when there is none."""
        if not self._waiting:
            return None
        return max(0.0, self._since + self._batch_seconds - time.monotonic())
