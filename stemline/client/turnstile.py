"""Where requests wait for their turn: for the pace of the key, and for a vendor that is alive."""

from __future__ import annotations

import asyncio
import heapq
import itertools
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from enum import IntEnum

from stemline.circuit import Circuit
from stemline.client.trouble import gone
from stemline.clock import loop_time
from stemline.pacing import Pacer


class Lane(IntEnum):
    """What a request is for. Looks go first: each tells about many jobs. The others take turns.

    Finished jobs do not go before submits: their links are made by the very read that waits, and a vendor left without
    work while a heap of them is read makes the next heap, and so on for ever.
    """

    COLLECT = 0
    LOOK = 1
    SUBMIT = 2


@dataclass(frozen=True, slots=True, order=True)
class _Waiting:
    """A request that waits: those compared as less go first."""

    rank: int
    lane: Lane
    number: int
    is_paid: bool = field(compare=False)
    failures: int = field(compare=False)
    turn: asyncio.Future[float] = field(compare=False)

    def probe_rank(self) -> tuple[bool, int, _Waiting]:
        """Give what the best probe has least of.

        Who failed most goes last: a single job that the vendor chokes on must not pass for a dead vendor.
        """
        return self.is_paid, self.failures, self


class Turnstile:
    """Lets requests through one by one, at the pacer's pace, the most urgent first; to a dead vendor, only probes."""

    def __init__(self, pacer: Pacer, circuit: Circuit) -> None:
        """Guard one key's quota."""
        self.pacer = pacer
        self.circuit = circuit
        self._waiting: list[_Waiting] = []
        self._numbers = itertools.count()
        self._served = 0
        """The rank served last."""
        self._last = dict.fromkeys(Lane, 0)
        """The rank last given in each lane."""
        self._changed = asyncio.Event()
        self._keeper: asyncio.Task[None] | None = None

    @asynccontextmanager
    async def turn(self, lane: Lane, *, is_paid: bool, failures: int) -> AsyncIterator[float]:
        """Begin when it is this request's turn, with the time the pacer took note of; end when it has come back.

        Raises ProviderGone when the vendor is given up first.
        """
        turn: asyncio.Future[float] = asyncio.get_running_loop().create_future()
        waiting = _Waiting(self._rank(lane), lane, next(self._numbers), is_paid, failures, turn)
        heapq.heappush(self._waiting, waiting)
        if self._keeper is None or self._keeper.done():
            self._keeper = asyncio.create_task(self._keep())
        try:
            yield await turn
        finally:
            # A caller may be cancelled between being let through and leaving: it is back all the same.
            if turn.done() and not turn.cancelled() and turn.exception() is None:
                self.circuit.came_back(turn.result())
            self._changed.set()

    def lose_hope(self) -> None:
        """Send everybody away who waits for a dead vendor, now or when it dies."""
        self.circuit.lose_hope()
        self._changed.set()

    async def _keep(self) -> None:
        while self._waiting:
            now = loop_time()
            if now >= self.circuit.gives_up_at:
                self._send_away()
                return
            if (pause := self._pause(now)) > 0:
                await self._rest(pause)
            else:
                self._let_through(self._take_next(), now)

    def _pause(self, now: float) -> float:
        pause = max(self.pacer.wait(now), self.circuit.wait(now))
        return min(pause, self.circuit.gives_up_at - now)

    async def _rest(self, seconds: float) -> None:
        """Let time pass, less when something changes: a request came back, and with it a Retry-After or hope."""
        self._changed.clear()
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._changed.wait()

    def _rank(self, lane: Lane) -> int:
        """Give a place in the order: start-time fair queueing (Goyal, Vin and Cheng, 1996) of equal lanes."""
        if lane is Lane.LOOK:
            return self._served
        self._last[lane] = max(self._served, self._last[lane]) + 1
        return self._last[lane]

    def _take_next(self) -> _Waiting:
        if not self.circuit.is_open:
            return heapq.heappop(self._waiting)
        probe = min(self._waiting, key=_Waiting.probe_rank)
        self._waiting.remove(probe)
        heapq.heapify(self._waiting)
        return probe

    def _let_through(self, waiting: _Waiting, now: float) -> None:
        self._served = max(self._served, waiting.rank)
        if not waiting.turn.done():  # else its caller has given up
            self.pacer.sent(now)
            self.circuit.left(now)
            waiting.turn.set_result(now)

    def _send_away(self) -> None:
        while self._waiting:
            turn = self._waiting.pop().turn
            if not turn.done():
                turn.set_exception(gone(self.circuit))
