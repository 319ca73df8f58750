"""What a simulated vendor keeps of one API key: its window, its jobs, and the requests it made."""

from __future__ import annotations

import heapq
from array import array
from collections import deque
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from benchmarks.simulation.window import RateWindow

KEPT_JOBS = 3_000
"""Older jobs are forgotten, as a list that is read from its newest end would never show them."""
BEGIN = datetime(2026, 3, 2, 8, tzinfo=UTC)
"""The calendar's instant at virtual time 0."""


def instant(time: float) -> datetime:
    """Give the calendar's instant at a virtual time."""
    return BEGIN + timedelta(seconds=time)


@dataclass(slots=True)
class Job:
    """A job, with all it will go through; times are virtual."""

    job_id: str
    name: str
    """The client's own word for it: a file name or an idempotency key."""
    seconds: int
    created_at: float
    starts_at: float
    done_at: float


@dataclass
class Account:
    """One key's account."""

    number: int
    window: RateWindow
    max_running: int | None
    jobs: dict[str, Job] = field(default_factory=dict)
    """By id, from old to new."""
    granted: array[float] = field(default_factory=lambda: array("d"))
    """When each request was let in."""
    refused: int = 0
    made: int = 0
    _slots: list[float] = field(default_factory=list)
    """When each of the last jobs begun ends, as many as may run at once."""
    _old: deque[str] = field(default_factory=deque)

    def enter(self, now: float) -> tuple[bool, dict[str, str]]:
        """Let a request in, or not; give the headers."""
        is_allowed, headers = self.window.take(instant(now).timestamp())
        if is_allowed:
            self.granted.append(now)
        else:
            self.refused += 1
        return is_allowed, headers

    def make_job(self, name: str, seconds: int, takes: float, now: float) -> Job:
        """Put a job in line."""
        self.made += 1
        starts_at = self._find_slot(takes, now)
        job_id = f"job-{self.number}-{self.made:07}"
        job = Job(job_id, name, seconds, now, starts_at, starts_at + takes)
        self.jobs[job.job_id] = job
        self._old.append(job.job_id)
        if len(self._old) > KEPT_JOBS:
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
