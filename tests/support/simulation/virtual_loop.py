"""An asyncio event loop with a time of its own: when nothing is ready, the clock jumps to the next timer."""

from __future__ import annotations

import asyncio
import selectors
from collections.abc import Callable
from concurrent.futures import Executor
from typing import Any, TypeVarTuple

Ts = TypeVarTuple("Ts")

RESOLUTION_SECONDS = 1e-4
"""A timer is due so much early: a float of half a year in seconds has no billionths, and would never reach it."""
STUCK_SECONDS = 60.0
"""Real seconds without a timer, an event or an answer from another thread: nothing will come any more."""


class VirtualLoop(asyncio.SelectorEventLoop):
    """A loop that waits for other threads and for nothing else. Its time begins at 0."""

    def __init__(self) -> None:
        self._now = 0.0
        self._busy_calls = 0
        """How many calls other threads are busy with: the clock stands still meanwhile."""
        super().__init__(_Selector(self))
        self._clock_resolution = RESOLUTION_SECONDS

    def time(self) -> float:
        """Give the virtual time in seconds."""
        return self._now

    def run_in_executor(
        self, executor: Executor | None, func: Callable[[*Ts], Any], *args: *Ts
    ) -> asyncio.Future[Any]:
        """Have another thread call a function, and wait for it in real time."""
        future = super().run_in_executor(executor, func, *args)
        self._busy_calls += 1
        future.add_done_callback(self._call_returned)
        return future

    def advance(self, seconds: float) -> bool:
        """Let virtual time pass, unless another thread is busy; give whether it did."""
        if self._busy_calls:
            return False
        self._now += seconds
        return True

    def _call_returned(self, _: object) -> None:
        self._busy_calls -= 1


class _Selector(selectors.DefaultSelector):
    def __init__(self, loop: VirtualLoop) -> None:
        super().__init__()
        self._loop = loop

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        """Give what is ready now; where nothing is, have the clock jump or wait for the other threads."""
        found = super().select(0)
        if found or timeout == 0:
            return found
        if timeout is not None and self._loop.advance(timeout):
            return []
        found = super().select(STUCK_SECONDS)
        if not found:
            raise RuntimeError("The simulation is stuck: nothing is planned and no thread answers.")
        return found
