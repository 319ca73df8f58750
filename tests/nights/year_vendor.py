"""A StemSplit of a year: one account or several, jobs it forgets, outputs it deletes, prices it changes, bad days."""

from __future__ import annotations

import asyncio
import json
import random
import re
from collections import Counter
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from typing import Any

import httpx

from stemline.clock import loop_time

BEGIN = datetime(2026, 1, 1, tzinfo=UTC)
"""The calendar's instant at virtual time 0."""
DAY = 86_400.0
URL = "http://vendor.test"
STEMS = ("vocals", "instrumental")
READ_SECONDS = 150.0
"""How long a client waits for an answer."""
LATE_SECONDS = 60.0
OUTPUTS_SECONDS = 14 * DAY
"""How long outputs are kept, from when their job was made."""
TOKEN = re.compile(r"sl[0-9a-f]{20}")
FAULTS = (
    "refused", "lost_before", "lost_after", "late", "error_before", "error_after", "garbled", "throttled",
)  # fmt: skip
ERRORS = {
    "error_before": (500, "INTERNAL_ERROR"),
    "throttled": (429, "RATE_LIMIT_EXCEEDED"),
    "revoked": (401, "API_KEY_REVOKED"),
    "poor": (402, "INSUFFICIENT_CREDITS"),
}
SILENT = "silent"
"""The fate of a job whose stems hold nothing."""


@dataclass(frozen=True)
class Mood:
    """How the vendor behaves for a while."""

    fault_share: float = 0.0
    """So many requests meet a fault of the menu."""
    fates: tuple[tuple[str, float], ...] = ()
    """What may become of a job other than well, with its share: fails | fails_paid | stuck | spoilt | bad | silent."""
    price: float = 1.0
    """What a second costs, in credits."""
    lists_days: float = 14.0
    """For how long the list shows a job."""
    forgets_days: float = 30.0
    """For how long a job can be read at all."""
    cut_share: float = 0.0
    """So many downloads break off."""


@dataclass
class Job:
    """A job, with what it cost."""

    job_id: str
    token: str
    name: str
    track_id: str
    seconds: int
    price: int
    fate: str
    key: str
    process: str
    """Which process of ours asked for it: no vendor knows, but what is simulated may look here."""
    made_at: float
    done_at: float
    fetches: int = 0

    @property
    def charged(self) -> int:
        """What it has cost in the end."""
        return 0 if self.fate == "fails" else self.price

    @property
    def is_good(self) -> bool:
        """Whether it is one that a customer has paid for, and gets something of."""
        return self.fate not in {"fails", "fails_paid"}


@dataclass
class YearVendor:
    """One account, whichever key asks: its books are what is believed."""

    seed: str
    lengths: dict[str, int]
    """By track id, how many seconds its source has."""
    balance: int = 10**6
    """What was ever paid in."""
    mood: Mood = field(default_factory=Mood)
    keys: set[str] = field(default_factory=set)
    """The keys that are good at present."""
    jobs: dict[str, Job] = field(default_factory=dict)
    refused: Counter[str] = field(default_factory=Counter)
    """By process, how many orders were refused for want of credits."""
    requests: Counter[str] = field(default_factory=Counter)
    """By process."""
    tasks: set[asyncio.Task] = field(default_factory=set)
    on_order: Any = lambda _: None

    def __post_init__(self) -> None:
        self.random = random.Random(f"vendor {self.seed}")  # noqa: S311 - a simulation

    def calm(self) -> None:
        """Behave well from now on; what is stuck is done soon."""
        self.mood = replace(self.mood, fault_share=0.0, fates=(), cut_share=0.0)
        for job in self.jobs.values():
            if job.fate == "stuck":
                job.fate, job.done_at = "good", loop_time() + 60

    async def close(self) -> None:
        """Let what is still on its way be."""
        for task in list(self.tasks):
            task.cancel()
        await asyncio.gather(*self.tasks, return_exceptions=True)

    # the network

    async def serve(self, request: httpx.Request, key: str, process: str) -> httpx.Response:
        """Carry a request there and its answer back, whether or not the client lives to see it."""
        fault = None
        if self.random.random() < self.mood.fault_share:
            fault = self.random.choice(FAULTS)
        self.requests[process] += 1
        await asyncio.sleep(0.1 + (LATE_SECONDS if fault == "late" else 0))
        if fault == "refused":
            raise httpx.ConnectError("refused", request=request)
        if fault == "lost_before":
            raise httpx.ReadError("cut", request=request)
        response = self._respond(request, key, process, fault)
        await asyncio.sleep(READ_SECONDS if fault == "lost_after" else 0.1)
        if fault == "lost_after":
            raise httpx.ReadTimeout("silence", request=request)
        return response

    def _respond(self, request: httpx.Request, key: str, process: str, fault: str | None) -> httpx.Response:
        if fault in ERRORS:
            return _refuse(fault, 7 if fault == "throttled" else None)
        if key not in self.keys:
            return _refuse("revoked")
        status, tree = self._answer(request, key, process)
        if status == 402:
            return _refuse("poor")
        if fault == "error_after":
            return httpx.Response(502, text="<html>Bad gateway</html>")
        body = json.dumps(tree)
        headers = {"Date": format_datetime(instant(loop_time()).replace(microsecond=0), usegmt=True)}
        return httpx.Response(status, headers=headers, text=body[:20] if fault == "garbled" else body)

    # the jobs

    def _answer(self, request: httpx.Request, key: str, process: str) -> tuple[int, Any]:
        path, params = request.url.path, request.url.params
        if path == "/balance":
            return 200, {"balanceSeconds": self.left()}
        if path == "/jobs" and request.method == "POST":
            return self._order(json.loads(request.content), key, process)
        if path == "/jobs":
            now = loop_time()
            listed = [
                self._shown(job)
                for job in reversed(self.jobs.values())
                if now - job.made_at <= self.mood.lists_days * DAY
            ]
            limit, offset = int(params["limit"]), int(params["offset"])
            page = listed[offset : offset + limit]
            return 200, {"jobs": page, "pagination": {"hasMore": offset + limit < len(listed)}}
        if path == "/youtube-jobs":
            return 200, {"jobs": [], "pagination": {"hasMore": False}}
        job = self.jobs.get(path.removeprefix("/jobs/"))
        if job is None or loop_time() - job.made_at > self.mood.forgets_days * DAY:
            return 404, {"error": {"code": "JOB_NOT_FOUND", "message": "There is no such job."}}
        return 200, self._detail(job)

    def _order(self, order: dict[str, Any], key: str, process: str) -> tuple[int, Any]:
        track_id = order["sourceUrl"].rpartition("/")[2].removesuffix(".mp3")
        seconds = self.lengths[track_id]
        price = max(1, round(seconds * self.mood.price))
        if self.left() < price:
            self.refused[process] += 1
            return 402, None
        now = loop_time()
        fate = self._draw_fate()
        takes = self.random.choice([5.0, 40.0, 150.0])
        token = TOKEN.search(order["fileName"])
        job = Job(
            f"job{len(self.jobs):05}",
            token[0] if token else "",
            order["fileName"],
            track_id,
            seconds,
            price,
            fate,
            key,
            process,
            now,
            now + takes if fate != "stuck" else now + 400 * DAY,
        )
        self.jobs[job.job_id] = job
        self.on_order(job)
        return 201, {**self._shown(job), "creditsRequired": job.price}

    def _draw_fate(self) -> str:
        drawn = self.random.random()
        for fate, share in self.mood.fates:
            if drawn < share:
                return fate
            drawn -= share
        return "good"

    def status(self, job: Job) -> str:
        now = loop_time()
        if now < job.done_at:
            return "PROCESSING"
        if not job.is_good:
            return "FAILED"
        return "EXPIRED" if now - job.made_at > OUTPUTS_SECONDS else "COMPLETED"

    def left(self) -> int:
        """Give the balance: it falls when a job is made, and a free failure gives back."""
        return self.balance - self.taken()

    def taken(self) -> int:
        """Give what all jobs have cost so far."""
        return sum(job.price if loop_time() < job.done_at else job.charged for job in self.jobs.values())

    def download(self, job_id: str) -> str:
        """Give what becomes of a download: ok | cut | gone | spoilt | bad | silent."""
        job = self.jobs[job_id]
        job.fetches += 1
        if loop_time() - job.made_at > OUTPUTS_SECONDS:
            return "gone"
        if self.random.random() < self.mood.cut_share:
            return "cut"
        if job.fate == "spoilt":  # its storage serves half of it for some days
            return "bad" if loop_time() - job.made_at < 2 * DAY else "ok"
        return job.fate if job.fate in {"bad", SILENT} else "ok"

    def _detail(self, job: Job) -> dict[str, Any]:
        if self.status(job) != "COMPLETED":
            return {**self._shown(job), "outputs": None, "audioMetadata": None}
        expires = _text(loop_time() + 3_600)
        outputs = {
            stem: {"url": f"http://storage.test/{job.job_id}/{stem}", "expiresAt": expires} for stem in STEMS
        }
        return {**self._shown(job), "outputs": outputs, "audioMetadata": {"bpm": 120.0, "key": "Am"}}

    def _shown(self, job: Job) -> dict[str, Any]:
        status = self.status(job)
        is_over = status != "PROCESSING"
        return {
            "id": job.job_id,
            "status": status,
            "progress": 100 if is_over else 0,
            "createdAt": _text(job.made_at),
            "completedAt": _text(job.done_at) if is_over else None,
            "input": {"fileName": job.name, "durationSeconds": job.seconds},
            "options": {"outputType": "BOTH", "quality": "FAST", "outputFormat": "WAV"},
            "creditsCharged": job.charged if is_over else 0,
            "errorMessage": "the engine gave up" if status == "FAILED" else None,
        }


def instant(time: float) -> datetime:
    """Give the calendar's instant at a virtual time."""
    return BEGIN + timedelta(seconds=time)


def _refuse(fault: str, retry_after: int | None = None) -> httpx.Response:
    status, code = ERRORS[fault]
    headers = {} if retry_after is None else {"Retry-After": str(retry_after)}
    return httpx.Response(status, headers=headers, json={"error": {"code": code, "message": "no"}})


def _text(time: float) -> str:
    return instant(time).isoformat(timespec="milliseconds").replace("+00:00", "Z")
