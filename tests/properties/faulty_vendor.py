"""A StemSplit in this process, on the loop's own clock, whose network and jobs go wrong as a schedule says."""

from __future__ import annotations

import asyncio
import json
import math
import random
from collections import Counter
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from typing import Any

import httpx
from faulty_behaviour import ERRORS, THROTTLED, FaultyBehaviour, JobFate, RequestFault

from stemline.clock import loop_time

BEGIN = datetime(2026, 3, 30, 23, 50, tzinfo=UTC)
"""The calendar's instant at virtual time 0: a day and soon a month end not long after."""
FIRST_BALANCE = 10_000
WINDOW_SECONDS = 60.0
READ_SECONDS = 150.0
"""How long a client waits for an answer."""
LATE_SECONDS = 60.0
HIDDEN_SECONDS = 25.0
KEPT_SECONDS = 40.0
"""How long the outputs of a job that expires are kept."""


@dataclass
class Job:
    """A job."""

    job_id: str
    name: str
    seconds: int
    fate: JobFate
    made_at: float
    done_at: float


@dataclass
class FaultyVendor:
    """One account, whichever key asks."""

    behaviour: FaultyBehaviour
    jobs: dict[str, Job] = field(default_factory=dict)
    requests: int = 0
    arrivals: dict[str, list[float]] = field(default_factory=dict)
    """By key, when the requests arrived that were let in."""
    refused: Counter[str] = field(default_factory=Counter)
    """By key, how many requests were too many."""
    fences: dict[str, int] = field(default_factory=dict)
    """By key, the fence of the process that holds it: no vendor knows, but what is simulated may look here."""
    faultless_from: float = math.inf
    """From then on nothing goes wrong."""
    tasks: set[asyncio.Task] = field(default_factory=set)

    def __post_init__(self) -> None:
        self._random = random.Random(self.behaviour.seed)  # noqa: S311 - a simulation

    # the network

    async def serve(self, request: httpx.Request, key: str) -> httpx.Response:
        """Carry a request there and its answer back, whether or not the client processes to see it."""
        fault = self._next_fault()
        await asyncio.sleep(self._trip() + (LATE_SECONDS if fault is RequestFault.LATE else 0))
        if fault is RequestFault.REFUSED:
            raise httpx.ConnectError("refused", request=request)
        if fault is RequestFault.LOST_BEFORE:
            raise httpx.ReadError("cut", request=request)
        response = self._respond(request, key, fault)
        await asyncio.sleep(READ_SECONDS if fault is RequestFault.LOST_AFTER else self._trip())
        if fault is RequestFault.LOST_AFTER:
            raise httpx.ReadTimeout("silence", request=request)
        return response

    def _next_fault(self) -> RequestFault | None:
        number, self.requests = self.requests, self.requests + 1
        if loop_time() >= self.faultless_from:
            return None
        met = [span for span in self.behaviour.faults if span.first <= number < span.first + span.count]
        return met[0].fault if met else None

    def _trip(self) -> float:
        return self._random.choice([0.02, 0.3, 2.0])

    def _respond(self, request: httpx.Request, key: str, fault: RequestFault | None) -> httpx.Response:
        if fault in THROTTLED:
            return self._throttle(fault)
        if fault in ERRORS:
            status, code = ERRORS[fault]
            return httpx.Response(status, json={"error": {"code": code, "message": "no"}})
        headers = self._count(key)
        if int(headers["X-RateLimit-Remaining"]) < 0:
            self.refused[key] += 1
            return self._throttle(RequestFault.THROTTLED, headers)
        status, tree = self._answer(request)
        if fault is RequestFault.ERROR_AFTER:
            return httpx.Response(502, text="<html>Bad gateway</html>")
        body = json.dumps(tree)
        return httpx.Response(
            status, headers=headers, text=body[:20] if fault is RequestFault.GARBLED else body
        )

    def _throttle(self, fault: RequestFault, headers: dict[str, str] | None = None) -> httpx.Response:
        seconds, now = self.behaviour.retry_after, self.instant()
        told = {
            RequestFault.THROTTLED: {"Retry-After": str(seconds)},
            RequestFault.THROTTLED_BY_DATE: {"Retry-After": _date(now + timedelta(seconds=seconds))},
            RequestFault.THROTTLED_SILENTLY: {},
        }[fault]
        error = {"error": {"code": "RATE_LIMIT_EXCEEDED", "message": "Too many requests."}}
        kept = {**(headers or {}), "X-RateLimit-Remaining": "0"} if headers else {"Date": _date(now)}
        return httpx.Response(429, headers={**kept, **told}, json=error)

    def _count(self, key: str) -> dict[str, str]:
        """Count a request if there is room in the sliding minute; a remainder below 0 says that there was none."""
        now, limit = loop_time(), self.limit_at(loop_time())
        inside = [time for time in self.arrivals.get(key, []) if time > now - WINDOW_SECONDS]
        remaining = limit - len(inside) - 1
        if remaining >= 0:
            inside.append(now)
        self.arrivals[key] = inside
        return {
            "Date": _date(self.instant()),
            "X-RateLimit-Limit": str(limit),
            "X-RateLimit-Remaining": str(max(-1, remaining)),
            "X-RateLimit-Reset": str(math.ceil(BEGIN.timestamp() + inside[0] + WINDOW_SECONDS)),
        }

    def limit_at(self, time: float) -> int:
        return [60, *(rate for since, rate in self.behaviour.rates if since <= time)][-1]

    # the jobs

    def _answer(self, request: httpx.Request) -> tuple[int, Any]:
        path = request.url.path
        if path == "/balance":
            return 200, {"balanceSeconds": FIRST_BALANCE - self.taken()}
        if path == "/jobs" and request.method == "POST":
            job = self._make_job(json.loads(request.content))
            return 201, {**self._shown(job), "creditsRequired": job.seconds}
        if path == "/jobs":
            listed = [job for job in reversed(self.jobs.values()) if self._is_listed(job)]
            return 200, {"jobs": [self._shown(job) for job in listed], "pagination": {"hasMore": False}}
        job = self.jobs[path.removeprefix("/jobs/")]
        outputs = {"vocals": {"url": "http://storage.test/v"}} if self.status(job) == "COMPLETED" else None
        return 200, {**self._shown(job), "outputs": outputs}

    def _make_job(self, order: dict[str, Any]) -> Job:
        now, number = loop_time(), int(order["sourceUrl"].rpartition("/")[2].removesuffix(".mp3"))
        made = len(self.jobs_of(number))
        fates = self.behaviour.fates[number] if number < len(self.behaviour.fates) else ()
        fate = fates[made] if made < len(fates) else JobFate.DONE
        done_at = now + self._random.choice([5.0, 40.0, 150.0])
        job = Job(f"job{len(self.jobs)}-{number}", order["fileName"], seconds_of(number), fate, now, done_at)
        self.jobs[job.job_id] = job
        return job

    def jobs_of(self, number: int) -> list[Job]:
        """Give what was made of a track, first to last."""
        return [job for job in self.jobs.values() if job.job_id.endswith(f"-{number}")]

    def status(self, job: Job) -> str:
        now, done_at = loop_time(), job.done_at
        if job.fate is JobFate.STUCK:
            done_at = max(done_at, self.faultless_from)
        if now < done_at:
            return "PROCESSING"
        if job.fate is JobFate.FAILS:
            return "FAILED"
        return "EXPIRED" if job.fate is JobFate.EXPIRES and now >= done_at + KEPT_SECONDS else "COMPLETED"

    def price(self, job: Job) -> int:
        """Give what a job has cost in the end."""
        return 0 if job.fate is JobFate.FAILS and self.behaviour.refunds else job.seconds

    def taken(self) -> int:
        """Give what the balance lacks at present."""
        amount = 0
        for job in self.jobs.values():
            is_over = self.status(job) != "PROCESSING"
            open_amount = job.seconds if self.behaviour.takes_when_made else 0
            amount += self.price(job) if is_over else open_amount
        return amount

    def _is_listed(self, job: Job) -> bool:
        age = loop_time() - job.made_at
        is_shown = job.fate is not JobFate.HIDDEN or age >= HIDDEN_SECONDS
        return is_shown and age <= self.behaviour.remembers_seconds

    def _shown(self, job: Job) -> dict[str, Any]:
        status = self.status(job)
        is_over = status != "PROCESSING"
        return {
            "id": job.job_id,
            "status": status,
            "createdAt": _text(job.made_at),
            "completedAt": _text(job.done_at) if is_over else None,
            "input": {"fileName": job.name, "durationSeconds": job.seconds},
            "creditsCharged": self.price(job) if is_over else 0,
            "errorMessage": "the engine gave up" if status == "FAILED" else None,
        }

    def instant(self) -> datetime:
        return instant(loop_time())


@dataclass
class WatchedConnection(httpx.AsyncBaseTransport):
    """The vendor as one process with one key sees it, and what that process may not do."""

    vendor: FaultyVendor
    key: str
    fence: int
    limit: int
    """How many requests a minute it was told it may make, or believes."""
    left: list[tuple[float, int]] = field(default_factory=list)
    """When each request left, and the limit known then."""
    closed_until: float = -math.inf
    too_early: list[float] = field(default_factory=list)
    """By how many seconds requests left before a Retry-After was over."""
    stale: int = 0
    """How many jobs were ordered after the key went to another process."""
    is_cut: bool = False

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        await request.aread()
        if self.is_cut:  # the process is dead: this is its last task being cancelled
            await asyncio.Event().wait()
        now = loop_time()
        self.left.append((now, self.limit))
        if now < self.closed_until:
            self.too_early.append(self.closed_until - now)
        self.stale += request.method == "POST" and self.vendor.fences[self.key] != self.fence
        task = asyncio.create_task(self.vendor.serve(request, self.key))
        self.vendor.tasks.add(task)
        task.add_done_callback(self._forget)
        response = await asyncio.shield(task)
        self._learn(response)
        return response

    def _forget(self, task: asyncio.Task) -> None:
        self.vendor.tasks.discard(task)
        if not task.cancelled():
            task.exception()  # nobody may be left to be told

    def _learn(self, response: httpx.Response) -> None:
        self.limit = int(response.headers.get("X-RateLimit-Limit", self.limit))
        if response.status_code == 429 and "Retry-After" in response.headers:
            self.closed_until = max(self.closed_until, loop_time() + self.vendor.behaviour.retry_after)


def seconds_of(number: int) -> int:
    """Give the length of a track: each has another, so that no charge passes for another's."""
    return 7 + number


def instant(time: float) -> datetime:
    """Give the calendar's instant at a virtual time."""
    return BEGIN + timedelta(seconds=time)


def _text(time: float) -> str:
    return instant(time).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _date(moment: datetime) -> str:
    return format_datetime(moment.replace(microsecond=0), usegmt=True)
