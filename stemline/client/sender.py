"""A provider's steps, carried out: each request in its turn, once or as often as is safe and useful."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from typing import Self, TypeVar

import httpx

from stemline.circuit import Circuit, Patience
from stemline.client.access import Access
from stemline.client.body import Body
from stemline.client.courier import Courier
from stemline.client.tries import Tries
from stemline.client.turnstile import Lane, Turnstile
from stemline.client.vigil import Vigil
from stemline.clock import loop_time
from stemline.errors import RetryableError, StemlineError, Throttled
from stemline.link import presigned_link
from stemline.pacing import Pacer, read_quota, read_retry_after
from stemline.wire import Answer, Provider, Request, Steps

T = TypeVar("T")


class Client:
    """Runs a provider's steps over HTTP for one API key. An async context manager."""

    def __init__(
        self,
        provider: Provider,
        access: Access,
        pacer: Pacer,
        patience: Patience | None = None,
        transport: httpx.AsyncBaseTransport | None = None,
    ) -> None:
        """Open nothing yet; `transport` carries the requests in place of the network."""
        self.provider = provider
        self._patience = patience or Patience()
        self.circuit = Circuit(self._patience)
        self._access = access
        self._courier = Courier(access, transport)
        self.traffic = self._courier.traffic
        self._turnstile = Turnstile(pacer, self.circuit)
        self._vigil = Vigil(self.circuit, pacer, lambda: self.run(provider.read_balance(), Lane.SUBMIT))

    async def __aenter__(self) -> Self:
        """Give the client."""
        return self

    async def __aexit__(self, *_: object) -> None:
        """Close the connections."""
        await self._vigil.end()
        await self._courier.close()

    async def run(
        self, steps: Steps[T], lane: Lane, before_paid: Callable[[Request], None] | None = None
    ) -> T:
        """Carry out a provider's steps and give what they return.

        `before_paid` is given the paid request right before it leaves, each time it does; what it raises keeps the
        request from leaving. Raises what the provider makes of an answer; NoAnswer when a paid request may have been
        carried out; ProviderGone when nobody answers any request at all; OSError when a file to upload cannot be read.
        """
        answer: Answer | None = None
        try:
            request = next(steps)
            while True:
                try:
                    answer = await self._carry_out(request, lane, before_paid)
                except StemlineError as error:
                    request = steps.throw(error)
                else:
                    request = steps.send(answer)
        except StopIteration as stop:
            value: T = stop.value
            return value

    def lose_hope(self) -> None:
        """Wait for a dead vendor no longer: ProviderGone is raised as soon as it is taken for dead."""
        self._turnstile.lose_hope()

    async def size_of(self, location: str) -> int:
        """Give the size of one of the catalogue's files in bytes; raises OSError when it cannot be told."""
        return await Body(location, self._access.storage_options).size()

    async def link_to(self, location: str, *, is_forced: bool) -> str | None:
        """Give a presigned link to one of the catalogue's objects, None when there is none that would help."""
        options = self._access.storage_options
        return await asyncio.to_thread(presigned_link, location, options, is_forced=is_forced)

    async def _carry_out(
        self, request: Request, lane: Lane, before_paid: Callable[[Request], None] | None
    ) -> Answer:
        """Send a request until it succeeds, may not be repeated, or was tried often enough."""
        tries = Tries(self._patience, self.circuit)
        while True:
            if request.is_transfer:
                answer, error = await self._send(request)
            else:
                answer, error = await self._ask(request, lane, tries.failures, before_paid)
            if isinstance(error, Throttled):
                continue
            if error is not None:
                await asyncio.sleep(tries.fail(error))
            elif answer is not None:
                return answer

    async def _ask(
        self, request: Request, lane: Lane, failures: int, before_paid: Callable[[Request], None] | None
    ) -> tuple[Answer | None, StemlineError | None]:
        """Send a request to the provider when it is its turn, and have what comes back known."""
        async with self._turnstile.turn(lane, is_paid=request.is_paid, failures=failures) as turn_at:
            left_at = turn_at
            if request.is_paid and before_paid is not None:
                before_paid(request)
                left_at = self._note_delay(turn_at)
            answer, error = await self._send(request)
            if answer is not None:
                self._learn(answer, left_at, is_throttled=isinstance(error, Throttled))
            self._vigil.hear(left_at, answer, error)
        return answer, error

    def _note_delay(self, noted: float) -> float:
        """Give when a request really leaves: a slow commit must not bring it into the vendor's next window."""
        now = loop_time()
        self._turnstile.pacer.left_late(noted, now)
        return now

    async def _send(self, request: Request) -> tuple[Answer | None, StemlineError | None]:
        """Send a request once; give the answer, if one came, and the error it or its lack stands for."""
        try:
            answer = await self._courier.carry(request)
        except RetryableError as unreachable:
            return None, unreachable
        return answer, self.provider.classify(request, answer)

    def _learn(self, answer: Answer, sent_at: float, *, is_throttled: bool) -> None:
        """Have the pacer know what an answer says about the quota."""
        pacer, now, unix_now = self._turnstile.pacer, loop_time(), time.time()
        if is_throttled:
            self.traffic.rejected += 1
            pacer.throttled(read_retry_after(answer.headers, unix_now), sent_at, now)
        if quota := read_quota(answer.headers, unix_now):
            pacer.heard(quota, sent_at, now)
