"""How fast a provider works, learned from what it has done."""

from __future__ import annotations

from stemline.records import Job

LEAP = 5.0
"""A job that took so many times longer than expected counts as that: it waited for a service that was away."""


class ProviderSpeed:
    """How fast the provider works: learned from finished jobs, to know when a poll is worth a request."""

    def __init__(self, seconds_per_second: float, latency_seconds: float) -> None:
        """Start from the facts file."""
        self._rate, self._latency = seconds_per_second, latency_seconds

    def learn(self, job: Job) -> None:
        """Take a finished job in, by the provider's own clock."""
        if job.created_at and job.completed_at and job.duration_seconds:
            took = (job.completed_at - job.created_at).total_seconds()
            took = min(took, LEAP * self.expect(job.duration_seconds))
            rate = max(0.0, took - self._latency) / job.duration_seconds
            self._rate += 0.2 * (rate - self._rate)

    def expect(self, duration_seconds: float) -> float:
        """Give the seconds a job of this length will take."""
        return self._latency + self._rate * duration_seconds
