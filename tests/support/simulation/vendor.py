"""A simulated vendor in one transport: requests take their time, are counted, and are answered in a dialect."""

from __future__ import annotations

import asyncio
import heapq
import json
import math
import random
import time
from array import array
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from email.utils import formatdate
from http import HTTPStatus
from typing import Any, Literal, Protocol

import httpx

from stemline.clock import loop_time

API_URL = "http://vendor.test/api"
STORAGE_HOST = "storage.test"
TRACK_SECONDS = 180
WINDOW_SECONDS = 60.0
KEPT_JOBS = 3_000
"""Older jobs are forgotten, as a list that is read from its newest end would never show them."""
BEGIN = datetime(2026, 3, 2, 8, tzinfo=UTC)
"""The calendar's instant at virtual time 0."""


def instant(time: float) -> datetime:
    """Give the calendar's instant at a virtual time."""
    return BEGIN + timedelta(seconds=time)


@dataclass(frozen=True)
class VendorBehaviour:
    """Its dialect, its limits and its speed; everything random comes from `seed`."""

    dialect: Literal["stemsplit", "aistemsplitter"] = "stemsplit"
    window: Literal["fixed", "sliding"] = "sliding"
    requests_per_minute: int = 60
    job_seconds: float = 150.0
    spread: float = 0.3
    """A job takes up to so much more or less, as a share."""
    tail_share: float = 0.0
    """So many jobs are stragglers, and take up to `tail_factor` times as long."""
    tail_factor: float = 6.0
    max_running: int | None = None
    """How many jobs it works on at once; the others wait in the order they came."""
    stuck: int = 0
    """So many of a key's first jobs are never done."""
    has_webhooks: bool = False
    """Whether it tells by webhook that a job has ended."""
    round_trip_seconds: tuple[float, float] = (0.05, 0.3)
    seed: int = 1

    def draw_job_seconds(self, draws: random.Random) -> float:
        """Give the seconds that a job takes."""
        factor = draws.uniform(1 - self.spread, 1 + self.spread)
        if draws.random() < self.tail_share:
            factor *= draws.uniform(2, self.tail_factor)
        return self.job_seconds * factor

    def draw_trip_seconds(self, draws: random.Random) -> float:
        """Give the seconds of one way of a request."""
        return draws.uniform(*self.round_trip_seconds) / 2


@dataclass
class RateWindow:
    """A key's window, fixed or sliding. What it refuses does not count."""

    limit: int
    kind: Literal["fixed", "sliding"]
    _times: deque[float] = field(default_factory=deque)

    def take(self, unix_now: float) -> tuple[bool, dict[str, str]]:
        """Count one request if there is room; give whether there was, and the answer's headers."""
        while self._times and self._leaves(self._times[0]) <= unix_now:
            self._times.popleft()
        is_allowed = len(self._times) < self.limit
        if is_allowed:
            self._times.append(unix_now)
        resets = self._leaves(self._times[0])
        headers = {
            "Date": formatdate(unix_now, usegmt=True),
            "X-RateLimit-Limit": str(self.limit),
            "X-RateLimit-Remaining": str(self.limit - len(self._times)),
            "X-RateLimit-Reset": str(math.ceil(resets)),
        }
        if not is_allowed:
            headers["Retry-After"] = str(math.ceil(resets - unix_now))
        return is_allowed, headers

    def _leaves(self, time: float) -> float:
        """Give when a request made at `time` counts no more."""
        if self.kind == "sliding":
            return time + WINDOW_SECONDS
        return (time // WINDOW_SECONDS + 1) * WINDOW_SECONDS


@dataclass(slots=True)
class SimulatedJob:
    """A job, with all it will go through; times are virtual."""

    job_id: str
    name: str
    """The client's own word for it: a file name or an idempotency key."""
    seconds: int
    created_at: float
    starts_at: float
    done_at: float


@dataclass
class SimulatedAccount:
    """One key's account."""

    number: int
    window: RateWindow
    max_running: int | None
    jobs: dict[str, SimulatedJob] = field(default_factory=dict)
    """By id, from old to new."""
    granted: array[float] = field(default_factory=lambda: array("d"))
    """When each request was let in."""
    refused: int = 0
    made: int = 0
    _slots: list[float] = field(default_factory=list)
    """When each of the last jobs begun ends, as many as may run at once."""
    _old: deque[str] = field(default_factory=deque)

    def admit(self, now: float) -> tuple[bool, dict[str, str]]:
        """Let a request in, or not; give the headers."""
        is_allowed, headers = self.window.take(instant(now).timestamp())
        if is_allowed:
            self.granted.append(now)
        else:
            self.refused += 1
        return is_allowed, headers

    def make_job(self, name: str, seconds: int, takes: float, now: float) -> SimulatedJob:
        """Put a job in line."""
        self.made += 1
        starts_at = self._find_slot(takes, now)
        job_id = f"job-{self.number}-{self.made:07}"
        job = SimulatedJob(job_id, name, seconds, now, starts_at, starts_at + takes)
        self.jobs[job.job_id] = job
        self._old.append(job.job_id)
        if len(self._old) > KEPT_JOBS and self.jobs[self._old[0]].done_at < math.inf:
            del self.jobs[self._old.popleft()]
        return job

    def _find_slot(self, takes: float, now: float) -> float:
        """Give when a job of so many seconds begins."""
        if self.max_running is None:
            return now
        is_full = len(self._slots) >= self.max_running
        starts_at = max(now, heapq.heappop(self._slots)) if is_full else now
        heapq.heappush(self._slots, starts_at + takes)
        return starts_at


class Dialect(Protocol):
    """What one vendor's words are."""

    def answer(
        self, account: SimulatedAccount, request: httpx.Request, make: Callable[[str], SimulatedJob]
    ) -> tuple[int, Any]:
        """Give the status and the JSON of an answer; `make` makes a job of a name."""

    def stored(self) -> Any:
        """Give what the storage answers to an upload."""

    def refusal(self) -> Any:
        """Give what a request too many is answered with."""


class SimulatedVendor(httpx.AsyncBaseTransport):
    """One vendor, seen from the client of one key."""

    def __init__(
        self,
        behaviour: VendorBehaviour,
        dialect: Dialect,
        number: int,
        on_done: Callable[[SimulatedJob], object],
    ) -> None:
        """Open an account; `on_done` is called when a job ends, if the vendor calls back."""
        self.account = SimulatedAccount(
            number, RateWindow(behaviour.requests_per_minute, behaviour.window), behaviour.max_running
        )
        self.uploads = 0
        self.cpu_seconds = 0.0
        """What answering took."""
        self._behaviour, self._dialect, self._on_done = behaviour, dialect, on_done
        self._random = random.Random(behaviour.seed * 1_000 + number)  # noqa: S311 - a simulation

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Carry a request there, and its answer back."""
        await request.aread()
        await asyncio.sleep(self._behaviour.draw_trip_seconds(self._random))
        began = time.thread_time()
        response = self._respond(request)
        self.cpu_seconds += time.thread_time() - began
        await asyncio.sleep(self._behaviour.draw_trip_seconds(self._random))
        return response

    def _respond(self, request: httpx.Request) -> httpx.Response:
        if request.url.host == STORAGE_HOST:
            self.uploads += 1
            return httpx.Response(HTTPStatus.OK, json=self._dialect.stored())
        is_allowed, headers = self.account.admit(loop_time())
        if not is_allowed:
            return httpx.Response(HTTPStatus.TOO_MANY_REQUESTS, headers=headers, json=self._dialect.refusal())
        status, tree = self._dialect.answer(self.account, request, self._make_job)
        return httpx.Response(status, headers=headers, json=tree)

    def _make_job(self, name: str) -> SimulatedJob:
        takes = self._behaviour.draw_job_seconds(self._random)
        if self.account.made < self._behaviour.stuck:
            takes = math.inf
        job = self.account.make_job(name, TRACK_SECONDS, takes, loop_time())
        if self._behaviour.has_webhooks and job.done_at < math.inf:
            called_at = job.done_at + self._behaviour.draw_trip_seconds(self._random)
            asyncio.get_running_loop().call_at(called_at, self._on_done, job)
        return job


def body_of(request: httpx.Request) -> dict[str, Any]:
    """Give the JSON object that a request carries."""
    tree: dict[str, Any] = json.loads(request.content)
    return tree
