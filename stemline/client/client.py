"""A provider's steps, carried out: each request when it may leave, once or as often as is safe and useful."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from typing import Self, TypeVar

import httpx

from stemline.client.circuit import CircuitBreaker, RequestRetries
from stemline.client.health import HealthProbe
from stemline.client.pacing import Pacer, read_quota, read_retry_after
from stemline.client.retry import RetryPolicy
from stemline.client.scheduler import Lane, RequestScheduler
from stemline.client.submit_health import SubmitHealth
from stemline.client.transport import Access, HttpTransport, UploadBody
from stemline.client.withdrawal import SubmitGate
from stemline.client.wrong_address import require_the_api
from stemline.clock import loop_time
from stemline.errors import RetryableError, StemlineError, Throttled
from stemline.link import presigned_link
from stemline.protocol import HttpAnswer, HttpRequest, Provider, Steps

T = TypeVar("T")


class Client:
    """Runs a provider's steps over HTTP for one API key. An async context manager."""

    def __init__(
        self,
        provider: Provider,
        access: Access,
        pacer: Pacer,
        policy: RetryPolicy | None = None,
        transport: httpx.AsyncBaseTransport | None = None,
    ) -> None:
        """Open nothing yet; `transport` carries the requests in place of the network."""
        self.provider = provider
        self._policy = policy or RetryPolicy()
        self.circuit = CircuitBreaker(self._policy)
        self._access = access
        self.tell_apart = access.tell_apart
        self._transport = HttpTransport(access, transport)
        self.traffic = self._transport.traffic
        self._scheduler = RequestScheduler(pacer, self.circuit)
        self._gate = SubmitGate()
        self.submits = SubmitHealth(self._policy, self.circuit, self.tell_apart)
        self._health = HealthProbe(
            self.circuit, pacer, lambda: self.run(provider.read_balance(), Lane.SUBMIT), self.tell_apart
        )

    async def __aenter__(self) -> Self:
        """Give the client."""
        return self

    async def __aexit__(self, *_: object) -> None:
        """Close the connections."""
        await self._health.stop()
        await self._scheduler.close()
        await self._transport.close()

    async def run(
        self, steps: Steps[T], lane: Lane, before_paid: Callable[[HttpRequest], None] | None = None
    ) -> T:
        """Carry out a provider's steps and give what they return.

        `before_paid` is given the paid request right before it leaves, each time it does; what it raises keeps the
        request from leaving. With it the steps are a submit, which raises SubmitWithdrawn when nothing more is to be
        submitted and its paid request has not left.
        Raises what the provider makes of an answer; NoAnswer when a paid request may have been
        carried out; ProviderGone when nobody answers any request at all; OSError when a file to upload cannot be read.
        """
        if before_paid is None:
            return await self._carry_out(steps, lane, None)
        async with self._gate.submitting():
            return await self._carry_out(steps, lane, before_paid)

    @property
    def pacer(self) -> Pacer:
        """What holds the key's pace."""
        return self._scheduler.pacer

    def submit_nothing_more(self) -> None:
        """Call back every submit whose paid request is not on the wire, and let none leave from now on."""
        self._gate.close()

    async def _carry_out(
        self, steps: Steps[T], lane: Lane, before_paid: Callable[[HttpRequest], None] | None
    ) -> T:
        answer: HttpAnswer | None = None
        try:
            request = next(steps)
            while True:
                try:
                    answer = await self._send_repeatedly(request, lane, before_paid)
                except StemlineError as error:
                    request = steps.throw(error)
                else:
                    request = steps.send(answer)
        except StopIteration as stop:
            value: T = stop.value
            return value

    def give_up(self) -> None:
        """Wait for a dead vendor no longer: ProviderGone is raised as soon as it is taken for dead."""
        self._scheduler.give_up()

    async def size_of(self, location: str) -> int:
        """Give the size of one of the catalogue's files in bytes; raises OSError when it cannot be told."""
        return await UploadBody(location, self._access.storage_options).size()

    async def link_to(self, location: str, *, is_forced: bool) -> str | None:
        """Give a presigned link to one of the catalogue's objects, None when there is none that would help."""
        options = self._access.storage_options
        return await asyncio.to_thread(presigned_link, location, options, is_forced=is_forced)

    async def _send_repeatedly(
        self, request: HttpRequest, lane: Lane, before_paid: Callable[[HttpRequest], None] | None
    ) -> HttpAnswer:
        """Send a request until it succeeds, may not be repeated, or was tried often enough."""
        retries = RequestRetries(self._policy, self.circuit)
        while True:
            if before_paid is not None:
                self._gate.require_open()
            if request.is_transfer:
                answer, error = await self._send(request)
            else:
                answer, error = await self._send_paced(request, lane, retries.failures, before_paid)
            if isinstance(error, Throttled):
                continue
            if error is not None:
                await asyncio.sleep(retries.count(error))
            elif answer is not None:
                return answer

    async def _send_paced(
        self,
        request: HttpRequest,
        lane: Lane,
        failures: int,
        before_paid: Callable[[HttpRequest], None] | None,
    ) -> tuple[HttpAnswer | None, StemlineError | None]:
        """Send a request to the provider once it may leave, and learn from what comes back."""
        async with self._scheduler.admit(lane, is_paid=request.is_paid, failures=failures) as noted_at:
            sent_at = noted_at
            if request.is_paid and before_paid is not None:
                self._gate.require_open()
                self.submits.require()
                before_paid(request)
                sent_at = self._correct_sent(noted_at)
                with self._gate.sending():
                    answer, error = await self._send(request)
                told = {} if answer is None else answer.headers
                self.submits.record(sent_at, error, read_retry_after(told, time.time()))
            else:
                answer, error = await self._send(request)
            if answer is not None:
                self._update_pacer(answer, sent_at, is_throttled=isinstance(error, Throttled))
            self._health.record(sent_at, answer, error)
        return answer, error

    def _correct_sent(self, noted_at: float) -> float:
        """Give when a request really leaves: a slow commit must not bring it into the vendor's next window."""
        now = loop_time()
        self._scheduler.pacer.correct_sent(noted_at, now)
        return now

    async def _send(self, request: HttpRequest) -> tuple[HttpAnswer | None, StemlineError | None]:
        """Send a request once; give the answer, if one came, and the error it or its lack stands for."""
        try:
            answer = await self._transport.send(request)
        except RetryableError as unreachable:
            return None, unreachable
        error = self.provider.classify(request, answer)
        if not (request.is_transfer or self.circuit.has_answered):
            require_the_api(self._access.base_url, answer, error)
        return answer, error

    def _update_pacer(self, answer: HttpAnswer, sent_at: float, *, is_throttled: bool) -> None:
        """Tell the pacer what an answer says about the quota."""
        pacer, now, unix_now = self._scheduler.pacer, loop_time(), time.time()
        if is_throttled:
            self.traffic.rejected += 1
            pacer.throttled(read_retry_after(answer.headers, unix_now), sent_at, now)
        if quota := read_quota(answer.headers, unix_now):
            pacer.update(quota, sent_at, now)
