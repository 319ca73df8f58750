"""What a run collects: booked as it comes, given in batches to be published while collecting goes on."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TYPE_CHECKING

from stemline.collector import CollectResult
from stemline.records import ReadyTrack

if TYPE_CHECKING:
    from stemline.collector.pool import CollectPool

INTERRUPT_SECONDS = 15.0
"""How long an interrupted run collects what is ready; the rest, which is paid, is collected by the next one."""


class CollectedBatches:
    """The tracks of a run that are collected, in batches for the dataset."""

    def __init__(
        self,
        book: Callable[[ReadyTrack, CollectResult], str | None],
        batch_tracks: int,
        batch_seconds: float,
    ) -> None:
        """Give batches of so many tracks at most, each so long after its first at most; `begin` begins."""
        self._book, self._batch_tracks, self._batch_seconds = book, batch_tracks, batch_seconds
        self._pool: CollectPool | None = None
        self._leave: Callable[[], None] = lambda: None
        self._left_at: float | None = None
        self.number = 0
        """How many batches were given, and so the number of the last one."""
        self.began_ns = time.time_ns()
        """When collecting the last one began, in Unix nanoseconds."""

    @property
    def next_number(self) -> int:
        """The number of the batch that comes next."""
        return self.number + 1

    @property
    def is_over(self) -> bool:
        """Whether everything there was to collect has been given."""
        return self._pool is None or self._pool.is_over

    def begin(self, pool: CollectPool, leave: Callable[[], None]) -> None:
        """Take what comes out of this pool; `leave` says to whoever fills it that no more is taken."""
        self._pool, self._leave = pool, leave

    def interrupt(self) -> None:
        """Collect no longer than INTERRUPT_SECONDS from now on; a signal handler may call it."""
        if self._left_at is None:
            self._left_at = time.monotonic() + INTERRUPT_SECONDS
        if self._pool is not None:
            self._pool.wake()

    def next_batch(self) -> list[str]:
        """Book what comes until it is enough for a batch, or all; give the tokens of the batch's attempts.

        Raises what collecting a track died of: what was booked before is published by the next run.
        """
        self.began_ns = time.time_ns()
        tokens: list[str] = []
        due: float | None = None
        while self._pool is not None and not self._pool.is_over and len(tokens) < self._batch_tracks:
            now = time.monotonic()
            if due is not None and now >= due:
                break
            if self._left_at is not None and now >= self._left_at:
                self._leave_rest(self._pool)
            times = [at for at in (due, self._left_at) if at is not None]
            finished = self._pool.take(max(0.0, min(times) - now) if times else None)
            token = self._book(*finished) if finished is not None else None
            if token is not None:
                tokens.append(token)
                due = due or time.monotonic() + self._batch_seconds
        self.number += 1
        return tokens

    def _leave_rest(self, pool: CollectPool) -> None:
        self._left_at = None
        pool.leave()
        self._leave()
