"""The only sender of requests to a provider: it paces, sends, classifies and repeats what is safe to repeat."""

from __future__ import annotations

import asyncio
import hashlib
import heapq
import itertools
import math
import random
import time
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, replace
from enum import IntEnum
from typing import Any, Self, TypeVar

import fsspec
import httpx

from stemline import __version__
from stemline.clock import loop_time
from stemline.errors import (
    NoAnswer,
    ProviderDown,
    ProviderGone,
    RetryableError,
    StemlineError,
    Throttled,
    TransferFailed,
)
from stemline.link import presigned_link
from stemline.pacing import Pacer, read_quota, read_retry_after
from stemline.wire import Answer, Provider, Request, Steps

T = TypeVar("T")

BLOCK_BYTES = 1 << 20
_TIMEOUT = httpx.Timeout(connect=10, read=150, write=60, pool=None)
"""A submit by URL may have the vendor probe the source first, hence the long read."""


class Lane(IntEnum):
    """Who goes first when requests wait for the same quota: what is paid and may expire, then looks, then submits."""

    COLLECT = 0
    LOOK = 1
    SUBMIT = 2


@dataclass(frozen=True, slots=True)
class Patience:
    """How often a request that is safe to repeat is sent, and how long the pauses between are."""

    tries: int = 6
    first_seconds: float = 1.0
    longest_seconds: float = 20.0

    def pause(self, failures: int) -> float:
        """Give the seconds to wait after so many failures, drawn so that callers do not march in step."""
        longest = min(math.ldexp(self.first_seconds, failures - 1), self.longest_seconds)
        return random.uniform(0.5, 1.0) * longest  # noqa: S311 - jitter


@dataclass(slots=True)
class Traffic:
    """How many requests were sent to the provider, and how many of them it refused for their pace."""

    sent: int = 0
    rejected: int = 0
    transfers: int = 0


class Turnstile:
    """Lets requests through one by one, at the pacer's pace, the most urgent first."""

    def __init__(self, pacer: Pacer) -> None:
        """Guard one key's quota."""
        self.pacer = pacer
        self._waiting: list[tuple[int, int, asyncio.Future[float]]] = []
        self._order = itertools.count()
        self._keeper: asyncio.Task[None] | None = None

    async def pass_through(self, lane: Lane) -> float:
        """Come back when it is this request's turn, with the time the pacer took note of."""
        turn: asyncio.Future[float] = asyncio.get_running_loop().create_future()
        heapq.heappush(self._waiting, (lane, next(self._order), turn))
        if self._keeper is None or self._keeper.done():
            self._keeper = asyncio.create_task(self._keep())
        return await turn

    async def _keep(self) -> None:
        while self._waiting:
            if (pause := self.pacer.wait(loop_time())) > 0:
                await asyncio.sleep(pause)
                continue  # a Retry-After may have arrived meanwhile
            _, _, turn = heapq.heappop(self._waiting)
            if not turn.done():
                now = loop_time()
                self.pacer.sent(now)
                turn.set_result(now)


@dataclass(frozen=True, slots=True)
class Access:
    """How a provider is reached."""

    base_url: str
    api_key: str
    storage_options: dict[str, Any]
    """For reading the catalogue's files."""


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
        self.traffic = Traffic()
        self._access = access
        self._patience = patience or Patience()
        self._turnstile = Turnstile(pacer)
        self._http = httpx.AsyncClient(
            timeout=_TIMEOUT,
            headers={"User-Agent": f"stemline/{__version__}"},
            limits=httpx.Limits(max_connections=64),
            transport=transport,
        )

    async def __aenter__(self) -> Self:
        """Give the client."""
        return self

    async def __aexit__(self, *_: object) -> None:
        """Close the connections."""
        await self._http.aclose()

    async def run(
        self, steps: Steps[T], lane: Lane, before_paid: Callable[[Request], None] | None = None
    ) -> T:
        """Carry out a provider's steps and give what they return.

        `before_paid` is given the paid request right before it leaves, each time it does; what it raises keeps the
        request from leaving. Raises what the provider makes of an answer; NoAnswer when a paid request may have been
        carried out; ProviderGone when nobody answers at all; OSError when a file to upload cannot be read.
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

    async def size_of(self, location: str) -> int:
        """Give the size of one of the catalogue's files in bytes; raises OSError when it cannot be told."""
        return await _Body(location, self._access.storage_options).size()

    async def link_to(self, location: str, *, is_forced: bool) -> str | None:
        """Give a presigned link to one of the catalogue's objects, None when there is none that would help."""
        options = self._access.storage_options
        return await asyncio.to_thread(presigned_link, location, options, is_forced=is_forced)

    async def _carry_out(
        self, request: Request, lane: Lane, before_paid: Callable[[Request], None] | None
    ) -> Answer:
        """Send a request until it succeeds, may not be repeated, or was tried often enough."""
        failures = 0
        while True:
            sent_at = 0.0 if request.is_transfer else await self._turnstile.pass_through(lane)
            if request.is_paid and before_paid is not None:
                before_paid(request)
            answer, error = await self._ask(request)
            if answer is not None and not request.is_transfer:
                self._learn(answer, sent_at, is_throttled=isinstance(error, Throttled))
            if answer is not None and error is None:
                return answer
            if isinstance(error, Throttled):
                continue
            failures += 1
            if not isinstance(error, ProviderDown | TransferFailed) or failures >= self._patience.tries:
                raise _gone(error) if answer is None else error  # type: ignore[misc] # error is set here
            await asyncio.sleep(self._patience.pause(failures))

    async def _ask(self, request: Request) -> tuple[Answer | None, StemlineError | None]:
        """Send a request once; give the answer, if one came, and the error it or its lack stands for."""
        try:
            answer = await self._send(request)
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

    async def _send(self, request: Request) -> Answer:
        body = _Body(request.body, self._access.storage_options) if request.body is not None else None
        try:
            message = await self._build(request, body)
            response = await self._http.send(message)
        except (httpx.ConnectError, httpx.ConnectTimeout, httpx.InvalidURL) as error:
            raise _down(request, error) from error
        except httpx.HTTPError as error:
            self._count(request)
            raise _broken(request, error) from error
        self._count(request)
        headers = {name.lower(): value for name, value in response.headers.items()}
        answer = Answer(response.status_code, headers, response.content)
        return replace(answer, sent_sha256=body.sha256()) if body else answer

    async def _build(self, request: Request, body: _Body | None) -> httpx.Request:
        headers = dict(request.headers)
        if body is not None:
            # Presigned storage wants the length up front and refuses a chunked body.
            headers["Content-Length"] = str(await body.size())
        if request.is_transfer:
            return self._http.build_request(
                request.method, request.url, headers=headers, content=body.blocks() if body else None
            )
        headers["Authorization"] = f"Bearer {self._access.api_key}"
        url = self._access.base_url.rstrip("/") + request.url
        return self._http.build_request(
            request.method, url, headers=headers, params=dict(request.params) or None, json=request.json
        )

    def _count(self, request: Request) -> None:
        if request.is_transfer:
            self.traffic.transfers += 1
        else:
            self.traffic.sent += 1


class _Body:
    """A file streamed from wherever the catalogue keeps it, hashed on the way."""

    def __init__(self, location: str, storage_options: dict[str, Any]) -> None:
        self._location, self._options = location, storage_options
        self._digest = hashlib.sha256()

    async def size(self) -> int:
        filesystem, path = await self._read(lambda: fsspec.core.url_to_fs(self._location, **self._options))
        return int(await self._read(lambda: filesystem.size(path)))

    async def blocks(self) -> AsyncIterator[bytes]:
        self._digest = hashlib.sha256()
        source = await self._read(lambda: fsspec.open(self._location, "rb", **self._options).open())
        try:
            while block := await self._read(lambda: source.read(BLOCK_BYTES)):
                self._digest.update(block)
                yield block
        finally:
            await self._read(source.close)

    async def _read(self, call: Callable[[], Any]) -> Any:  # noqa: ANN401 - fsspec ships no types
        try:
            return await asyncio.to_thread(call)
        except OSError:
            raise
        except Exception as error:  # every store fails in its own way
            raise OSError(f"{self._location} cannot be read: {str(error) or type(error).__name__}") from error

    def sha256(self) -> str:
        return self._digest.hexdigest()


def _down(request: Request, error: httpx.HTTPError | httpx.InvalidURL) -> RetryableError:
    """The connection was never made: nothing was asked, so anything may be repeated."""
    where = "The provider" if isinstance(error, httpx.InvalidURL) else error.request.url.host
    kind = TransferFailed if request.is_transfer else ProviderDown
    return kind(f"{where} cannot be reached: {str(error) or type(error).__name__}.")


def _broken(request: Request, error: httpx.HTTPError) -> RetryableError:
    """The connection broke with the request under way: only a paid one must not be repeated."""
    sentence = (
        f"{request.method} {request.url.split('?')[0]} broke off: {str(error) or type(error).__name__}."
    )
    if request.is_transfer:
        return TransferFailed(sentence)
    return NoAnswer(sentence) if request.is_paid else ProviderDown(sentence)


def _gone(error: StemlineError | None) -> StemlineError:
    if isinstance(error, ProviderDown):
        return ProviderGone(error.message, fix="Check provider.base_url and the network, then run again.")
    return error or ProviderGone("The provider does not answer.")
