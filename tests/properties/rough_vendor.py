"""A StemSplit in this process, on the loop's own clock, whose network and whose jobs go wrong as a schedule says."""

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
from rough_conduct import ERRORS, THROTTLED, Conduct, Fate, Mishap

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
    fate: Fate
    made_at: float
    done_at: float


@dataclass
class Vendor:
    """One account, whichever key asks."""

    conduct: Conduct
    jobs: dict[str, Job] = field(default_factory=dict)
    requests: int = 0
    arrivals: dict[str, list[float]] = field(default_factory=dict)
    """By key, when the requests arrived that were let in."""
    refused: Counter[str] = field(default_factory=Counter)
    """By key, how many requests were too many."""
    fences: dict[str, int] = field(default_factory=dict)
    """By key, the fence of the process that holds it: no vendor knows, but what is simulated may look here."""
    calm_at: float = math.inf
    """From then on nothing goes wrong."""
    tasks: set[asyncio.Task] = field(default_factory=set)

    def __post_init__(self) -> None:
        self._chance = random.Random(self.conduct.seed)  # noqa: S311 - a simulation

    # the network

    async def serve(self, request: httpx.Request, key: str) -> httpx.Response:
        """Carry a request there and its answer back, whether or not the client lives to see it."""
        mishap = self._next_mishap()
        await asyncio.sleep(self._trip() + (LATE_SECONDS if mishap is Mishap.LATE else 0))
        if mishap is Mishap.REFUSED:
            raise httpx.ConnectError("refused", request=request)
        if mishap is Mishap.LOST_BEFORE:
            raise httpx.ReadError("cut", request=request)
        response = self._respond(request, key, mishap)
        await asyncio.sleep(READ_SECONDS if mishap is Mishap.LOST_AFTER else self._trip())
        if mishap is Mishap.LOST_AFTER:
            raise httpx.ReadTimeout("silence", request=request)
        return response

    def _next_mishap(self) -> Mishap | None:
        number, self.requests = self.requests, self.requests + 1
        if loop_time() >= self.calm_at:
            return None
        met = [fault for fault in self.conduct.faults if fault.first <= number < fault.first + fault.count]
        return met[0].mishap if met else None

    def _trip(self) -> float:
        return self._chance.choice([0.02, 0.3, 2.0])

    def _respond(self, request: httpx.Request, key: str, mishap: Mishap | None) -> httpx.Response:
        if mishap in THROTTLED:
            return self._throttle(mishap)
        if mishap in ERRORS:
            status, code = ERRORS[mishap]
            return httpx.Response(status, json={"error": {"code": code, "message": "no"}})
        headers = self._count(key)
        if int(headers["X-RateLimit-Remaining"]) < 0:
            self.refused[key] += 1
            return self._throttle(Mishap.THROTTLED, headers)
        status, tree = self._answer(request)
        if mishap is Mishap.ERROR_AFTER:
            return httpx.Response(502, text="<html>Bad gateway</html>")
        body = json.dumps(tree)
        return httpx.Response(status, headers=headers, text=body[:20] if mishap is Mishap.GARBLED else body)

    def _throttle(self, mishap: Mishap, headers: dict[str, str] | None = None) -> httpx.Response:
        seconds, now = self.conduct.retry_after, self.instant()
        told = {
            Mishap.THROTTLED: {"Retry-After": str(seconds)},
            Mishap.THROTTLED_BY_DATE: {"Retry-After": _date(now + timedelta(seconds=seconds))},
            Mishap.THROTTLED_SILENTLY: {},
        }[mishap]
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
        return [60, *(rate for since, rate in self.conduct.rates if since <= time)][-1]

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
        fates = self.conduct.fates[number] if number < len(self.conduct.fates) else ()
        fate = fates[made] if made < len(fates) else Fate.DONE
        done_at = now + self._chance.choice([5.0, 40.0, 150.0])
        job = Job(f"job{len(self.jobs)}-{number}", order["fileName"], seconds_of(number), fate, now, done_at)
        self.jobs[job.job_id] = job
        return job

    def jobs_of(self, number: int) -> list[Job]:
        """Give what was made of a track, first to last."""
        return [job for job in self.jobs.values() if job.job_id.endswith(f"-{number}")]

    def status(self, job: Job) -> str:
        now, done_at = loop_time(), job.done_at
        if job.fate is Fate.STUCK:
            done_at = max(done_at, self.calm_at)
        if now < done_at:
            return "PROCESSING"
        if job.fate is Fate.FAILS:
            return "FAILED"
        return "EXPIRED" if job.fate is Fate.EXPIRES and now >= done_at + KEPT_SECONDS else "COMPLETED"

    def price(self, job: Job) -> int:
        """Give what a job has cost in the end."""
        return 0 if job.fate is Fate.FAILS and self.conduct.refunds else job.seconds

    def taken(self) -> int:
        """Give what the balance lacks at present."""
        amount = 0
        for job in self.jobs.values():
            is_over = self.status(job) != "PROCESSING"
            open_amount = job.seconds if self.conduct.takes_when_made else 0
            amount += self.price(job) if is_over else open_amount
        return amount

    def _is_listed(self, job: Job) -> bool:
        return job.fate is not Fate.HIDDEN or loop_time() >= job.made_at + HIDDEN_SECONDS

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
