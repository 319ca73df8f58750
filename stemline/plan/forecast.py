"""Cost and time of a plan as intervals, with the bottleneck by name. Pure arithmetic."""

from __future__ import annotations

import math
from dataclasses import dataclass

from stemline.settings import ProviderFacts

REQUESTS_BY_URL = 2
"""A submit and a detail read."""
REQUESTS_BY_UPLOAD = 3
"""An upload ticket besides."""


@dataclass(slots=True)
class Work:
    """What tracks still to do add up to."""

    tracks: int = 0
    uploads: int = 0
    audio_seconds: float = 0.0
    credits_low: int = 0
    credits_high: int = 0

    def add(self, seconds: float, *, is_upload: bool) -> None:
        """Count a track in. No vendor says how it rounds: down is the least, up is what is reserved."""
        self.tracks += 1
        self.uploads += is_upload
        self.audio_seconds += seconds
        self.credits_low += math.floor(seconds)
        self.credits_high += max(1, math.ceil(seconds))


@dataclass(frozen=True, slots=True)
class Forecast:
    """How long the work takes, as an interval in seconds, and what sets it."""

    seconds_low: float
    seconds_high: float
    bottleneck: str
    advice: str


@dataclass(frozen=True, slots=True)
class _Bound:
    name: str
    seconds: float
    advice: str


def forecast(work: Work, facts: ProviderFacts, *, requests_per_minute: int, jobs_at_once: int) -> Forecast:
    """Give the time the slowest of three takes: the rate limit, the jobs in flight, or the longest single job.

    The upper end allows for half as much again on the vendor's speed, which is not published.
    """
    if not work.tracks:
        return Forecast(0.0, 0.0, "nothing to do", "")
    requests = work.tracks * REQUESTS_BY_URL + work.uploads * (REQUESTS_BY_UPLOAD - REQUESTS_BY_URL)
    each = facts.latency_seconds + facts.speed * work.audio_seconds / work.tracks
    bounds = (
        _Bound("rate limit", requests * 60 / requests_per_minute, "A second API key would halve it."),
        _Bound(
            "jobs in flight",
            each * work.tracks / jobs_at_once,
            "Raise provider.max_in_flight or its workers.",
        ),
    )
    slowest = max(bounds, key=lambda bound: bound.seconds)
    low = slowest.seconds + each
    if each > slowest.seconds:
        slowest = _Bound("provider speed", each, "The longest track sets it; nothing here makes it shorter.")
    return Forecast(low, low * 1.5, slowest.name, slowest.advice)
