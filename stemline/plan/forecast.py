"""Requests and time of a plan as intervals, with the bottleneck by name. Pure arithmetic."""

from __future__ import annotations

import math
from dataclasses import dataclass

from stemline.plan.pace import Pace
from stemline.plan.work import Work

REQUESTS_BY_URL = 2
"""A submit and a detail read."""
REQUESTS_BY_UPLOAD = 3
"""An upload ticket besides."""
BALANCE_READS = 2
"""At the beginning and at the end, with each key."""
PAGE_JOBS = 100
"""One page of a job list."""
FEW_JOBS = 2
"""Up to so many jobs in flight are read one by one, without a list."""
FURTHER_LOOKS = 0.5
"""How often a job is looked at before it is done, where nothing else tells: half of them are late once."""
MOST_FURTHER_LOOKS = 4.0
"""The same for a job that takes twice as long as was expected: every look waits a fifth longer than the last."""
MISSED_CALLS = 0.02
"""The share of jobs that no webhook tells of in time."""
SLACK = 1.25
"""How much longer all takes at the slow end: repeats, strangers on the key, a line that is shared."""

RATE, IN_FLIGHT, BANDWIDTH = "rate limit", "jobs in flight", "bandwidth"
BUDGET, SPEED, NOTHING = "budget", "provider speed", "nothing to do"


@dataclass(frozen=True, slots=True)
class Forecast:
    """How long the work takes and what it asks of the provider, as intervals, and what sets the time."""

    seconds_low: float = 0.0
    seconds_high: float = 0.0
    bottleneck: str = NOTHING
    advice: str = ""
    requests_low: int = 0
    requests_high: int = 0


def forecast(work: Work, pace: Pace, wait_seconds: float = 0.0) -> Forecast:
    """Give what the slowest of five makes of the work: rate limit, jobs in flight, bandwidth, budget, provider.

    `wait_seconds` is how long the budget holds the last track back.
    """
    if not work.tracks:
        return Forecast()
    slow = pace.at_slow_end()
    limits = bounds(work, pace, wait_seconds)
    low = _seconds(work, pace, wait_seconds)
    high = max(SLACK * _seconds(work, slow), _seconds(work, slow, wait_seconds))
    return Forecast(
        seconds_low=low,
        seconds_high=high,
        bottleneck=max(limits, key=lambda name: limits[name]),
        # Nothing is looked at while the budget keeps everybody waiting.
        requests_low=_requests(work, pace, _seconds(work, pace), 0.0),
        requests_high=_requests(work, pace, SLACK * _seconds(work, slow), MOST_FURTHER_LOOKS),
    )


def bounds(work: Work, pace: Pace, wait_seconds: float = 0.0) -> dict[str, float]:
    """Give the seconds that the provider takes at least, and those after which each of the others lets the last go."""
    each = pace.job_seconds(work.audio_seconds / work.tracks)
    longest = pace.job_seconds(work.longest_seconds)
    rounds = work.tracks / (pace.jobs_at_once or math.inf)
    waits = max(0.0, work.tracks / (pace.max_in_flight * pace.keys) - 1)
    line = pace.bytes_per_second
    return {
        RATE: _rate_seconds(work, pace),
        IN_FLIGHT: each * waits,
        BANDWIDTH: pace.stem_bytes * work.audio_seconds / line if line else 0.0,
        BUDGET: wait_seconds,
        SPEED: max(longest, each * rounds),
    }


def _seconds(work: Work, pace: Pace, wait_seconds: float = 0.0) -> float:
    """Give the time until the last track is done: it takes its own time after it was submitted."""
    limits = bounds(work, pace, wait_seconds)
    each = pace.job_seconds(work.audio_seconds / work.tracks)
    last_submit = max(limits[name] for name in (RATE, IN_FLIGHT, BANDWIDTH, BUDGET))
    return max(last_submit + each, limits[SPEED] + 60 / pace.requests_per_minute)


def _rate_seconds(work: Work, pace: Pace) -> float:
    """Give the time the requests take, looks at the list among them: these come by the clock."""
    a_minute = pace.keys * pace.requests_per_minute
    fixed, looks = _fixed_requests(work, pace), _looks(work, pace, FURTHER_LOOKS)
    if not _is_swept(work, pace):
        return (fixed + looks) * 60 / a_minute
    left = a_minute - 60 * _sweeps_a_second(work, pace)
    by_clock = fixed * 60 / left if left > 0 else math.inf
    # A list is read no oftener than there are jobs to find done, or late.
    return min(by_clock, (fixed + work.tracks + looks) * 60 / a_minute)


def _requests(work: Work, pace: Pace, seconds: float, further_looks: float) -> int:
    """Give the requests of so many seconds, where jobs are looked at so often before they are done."""
    looks = _looks(work, pace, further_looks)
    if _is_swept(work, pace):
        looks = min(work.tracks + looks, _sweeps_a_second(work, pace) * seconds)
    return math.ceil(_fixed_requests(work, pace) + looks)


def _fixed_requests(work: Work, pace: Pace) -> float:
    """Give the requests there are whatever the time: by URL, by upload, and the balance."""
    uploads = work.uploads * (REQUESTS_BY_UPLOAD - REQUESTS_BY_URL)
    return work.tracks * REQUESTS_BY_URL + uploads + BALANCE_READS * pace.keys


def _looks(work: Work, pace: Pace, further: float) -> float:
    """Give the looks at jobs that are not done yet."""
    return work.tracks * (MISSED_CALLS if pace.is_heard else further)


def _is_swept(work: Work, pace: Pace) -> bool:
    """Tell whether jobs are looked at by their list."""
    return pace.is_listed and not pace.is_heard and work.tracks > FEW_JOBS


def _sweeps_a_second(work: Work, pace: Pace) -> float:
    """Give how often a page of the list is read while jobs are in flight, over all keys."""
    in_flight = min(pace.max_in_flight, work.tracks / pace.keys)
    return pace.keys * math.ceil(in_flight / PAGE_JOBS) / pace.sweep_seconds
