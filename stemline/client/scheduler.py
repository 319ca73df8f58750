"""Where requests wait until they may leave: for the pace of the key, and for a vendor that is alive."""

from __future__ import annotations

import asyncio
import heapq
import itertools
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from enum import IntEnum

from stemline.client.circuit import CircuitBreaker
from stemline.client.pacing import Pacer
from stemline.clock import loop_time


class Lane(IntEnum):
    """What a request is for. Polls go first: each tells about many jobs. The other two lanes share equally.

    Finished jobs do not go before submits: their links are made by the very read that waits, and a vendor left without
    work while a heap of them is read makes the next heap, and so on for ever.
    """

    COLLECT = 0
    POLL = 1
    SUBMIT = 2


@dataclass(frozen=True, slots=True, order=True)
class _WaitingRequest:
    """A request that waits: those compared as less go first."""

    rank: int
    lane: Lane
    number: int
    is_paid: bool = field(compare=False)
    failures: int = field(compare=False)
    admitted: asyncio.Future[float] = field(compare=False)
    """Is given the time the pacer took note of."""

    def probe_rank(self) -> tuple[bool, int, _WaitingRequest]:
        """Give what the best probe has least of.

        Who failed most goes last: a single job that the vendor chokes on must not pass for a dead vendor.
        """
        return self.is_paid, self.failures, self


class RequestScheduler:
    """Admits requests one by one, at the pacer's pace, the most urgent first; to a dead vendor, only probes."""

    def __init__(self, pacer: Pacer, circuit: CircuitBreaker) -> None:
        """Guard one key's quota."""
        self.pacer = pacer
        self.circuit = circuit
        self._waiting: list[_WaitingRequest] = []
        self._numbers = itertools.count()
        self._served = 0
        """The rank served last."""
        self._last = dict.fromkeys(Lane, 0)
        """The rank last given in each lane."""
        self._changed = asyncio.Event()
        self._admitting: asyncio.Task[None] | None = None

    @asynccontextmanager
    async def admit(self, lane: Lane, *, is_paid: bool, failures: int) -> AsyncIterator[float]:
        """Begin when this request may leave, with the time the pacer took note of; end when it has come back.

        Raises ProviderGone when the vendor is given up first.
        """
        admitted: asyncio.Future[float] = asyncio.get_running_loop().create_future()
        request = _WaitingRequest(self._rank(lane), lane, next(self._numbers), is_paid, failures, admitted)
        heapq.heappush(self._waiting, request)
        if self._admitting is None or self._admitting.done():
            self._admitting = asyncio.create_task(self._admit_waiting())
        try:
            yield await admitted
        finally:
            # A caller may be cancelled between being admitted and leaving: it is back all the same.
            if admitted.done() and not admitted.cancelled() and admitted.exception() is None:
                self.circuit.returned(admitted.result())
            self._changed.set()

    def give_up(self) -> None:
        """Turn everybody away who waits for a dead vendor, now or when it dies."""
        self.circuit.give_up()
        self._changed.set()

    async def close(self) -> None:
        """Admit nothing more; whoever waited was cancelled before."""
        if self._admitting is not None:
            self._admitting.cancel()
            await asyncio.gather(self._admitting, return_exceptions=True)

    async def _admit_waiting(self) -> None:
        while self._waiting:
            now = loop_time()
            if now >= self.circuit.gives_up_at:
                self._turn_away_all()
                return
            if (pause := self._pause(now)) > 0:
                await self._wait(pause)
            else:
                self._admit(self._take_next(), now)

    def _pause(self, now: float) -> float:
        pause = max(self.pacer.wait(now), self.circuit.wait(now))
        return min(pause, self.circuit.gives_up_at - now)

    async def _wait(self, seconds: float) -> None:
        """Let time pass, less when something changes: a request came back with a Retry-After, or from a live vendor."""
        self._changed.clear()
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._changed.wait()

    def _rank(self, lane: Lane) -> int:
        """Give a place in the order: start-time fair queueing (Goyal, Vin and Cheng, 1996) of equal lanes."""
        if lane is Lane.POLL:
            return self._served
        self._last[lane] = max(self._served, self._last[lane]) + 1
        return self._last[lane]

    def _take_next(self) -> _WaitingRequest:
        if not self.circuit.is_open:
            return heapq.heappop(self._waiting)
        probe = min(self._waiting, key=_WaitingRequest.probe_rank)
        self._waiting.remove(probe)
        heapq.heapify(self._waiting)
        return probe

    def _admit(self, request: _WaitingRequest, now: float) -> None:
        self._served = max(self._served, request.rank)
        if not request.admitted.done():  # else its caller has given up
            self.pacer.sent(now)
            self.circuit.sent(now)
            request.admitted.set_result(now)

    def _turn_away_all(self) -> None:
        while self._waiting:
            admitted = self._waiting.pop().admitted
            if not admitted.done():
                admitted.set_exception(self.circuit.gone())
