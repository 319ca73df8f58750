"""Requests and time of a plan as intervals, with the bottleneck by name. Pure arithmetic."""

from __future__ import annotations

import math
from dataclasses import dataclass

from stemline.plan.capacity import RunCapacity
from stemline.plan.workload import Workload

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
EXTRA_POLLS = 0.5
"""How often a job is polled in vain before it is done, where no webhook tells: half of them are late once."""
MOST_EXTRA_POLLS = 4.0
"""The same for a job that takes twice as long as expected: every poll waits a fifth longer than the last."""
MISSED_WEBHOOKS = 0.02
"""The share of jobs whose webhook does not come in time."""
SLACK = 1.25
"""How many times as long all takes at the slow end: repeated requests, other users of the key, a shared network."""

RATE, IN_FLIGHT, BANDWIDTH = "rate limit", "jobs in flight", "bandwidth"
BUDGET, SPEED, NOTHING = "budget", "provider speed", "nothing to do"


@dataclass(frozen=True, slots=True)
class Forecast:
    """How long a workload takes and how many requests, as intervals, and what sets the time."""

    seconds_low: float = 0.0
    seconds_high: float = 0.0
    bottleneck: str = NOTHING
    advice: str = ""
    requests_low: int = 0
    requests_high: int = 0


def forecast_workload(workload: Workload, capacity: RunCapacity, wait_seconds: float = 0.0) -> Forecast:
    """Give the forecast by the slowest of five: rate limit, jobs in flight, bandwidth, budget, provider speed.

    `wait_seconds` is how long the budget holds the last track back.
    """
    if not workload.tracks:
        return Forecast()
    slow = capacity.at_slow_end()
    limits = bottleneck_seconds(workload, capacity, wait_seconds)
    low = _seconds(workload, capacity, wait_seconds)
    high = max(SLACK * _seconds(workload, slow), _seconds(workload, slow, wait_seconds))
    return Forecast(
        seconds_low=low,
        seconds_high=high,
        bottleneck=max(limits, key=lambda name: limits[name]),
        # Nothing is polled while the budget keeps all tracks waiting.
        requests_low=_requests(workload, capacity, _seconds(workload, capacity), 0.0),
        requests_high=_requests(workload, capacity, SLACK * _seconds(workload, slow), MOST_EXTRA_POLLS),
    )


def bottleneck_seconds(
    workload: Workload, capacity: RunCapacity, wait_seconds: float = 0.0
) -> dict[str, float]:
    """Give by limit the seconds until it lets the last track be submitted; for the provider, what it takes at least."""
    each = capacity.job_seconds(workload.audio_seconds / workload.tracks)
    longest = capacity.job_seconds(workload.longest_seconds)
    rounds = workload.tracks / (capacity.jobs_at_once or math.inf)
    rounds_waited = max(0.0, workload.tracks / (capacity.max_in_flight * capacity.keys) - 1)
    bandwidth = capacity.bytes_per_second
    return {
        RATE: _rate_seconds(workload, capacity),
        IN_FLIGHT: each * rounds_waited,
        BANDWIDTH: capacity.stem_bytes * workload.audio_seconds / bandwidth if bandwidth else 0.0,
        BUDGET: wait_seconds,
        SPEED: max(longest, each * rounds),
    }


def _seconds(workload: Workload, capacity: RunCapacity, wait_seconds: float = 0.0) -> float:
    """Give the time until the last track is done: it takes its own time after it was submitted."""
    limits = bottleneck_seconds(workload, capacity, wait_seconds)
    each = capacity.job_seconds(workload.audio_seconds / workload.tracks)
    last_submit = max(limits[name] for name in (RATE, IN_FLIGHT, BANDWIDTH, BUDGET))
    others_wait = each if capacity.has_pilot else 0.0
    return others_wait + max(last_submit + each, limits[SPEED] + 60 / capacity.requests_per_minute)


def _rate_seconds(workload: Workload, capacity: RunCapacity) -> float:
    """Give the time the requests take. Reads of the job list are among them, and those come by the clock."""
    a_minute = capacity.keys * capacity.requests_per_minute
    fixed, polls = _fixed_requests(workload, capacity), _extra_polls(workload, capacity, EXTRA_POLLS)
    if not _polls_the_list(workload, capacity):
        return (fixed + polls) * 60 / a_minute
    left = a_minute - 60 * _list_reads_per_second(workload, capacity)
    by_clock = fixed * 60 / left if left > 0 else math.inf
    # A list is read no oftener than there are jobs to find done, or late.
    return min(by_clock, (fixed + workload.tracks + polls) * 60 / a_minute)


def _requests(workload: Workload, capacity: RunCapacity, seconds: float, extra_polls: float) -> int:
    """Give the requests of so many seconds, where each job is polled `extra_polls` times before it is done."""
    polls = _extra_polls(workload, capacity, extra_polls)
    if _polls_the_list(workload, capacity):
        polls = min(workload.tracks + polls, _list_reads_per_second(workload, capacity) * seconds)
    return math.ceil(_fixed_requests(workload, capacity) + polls)


def _fixed_requests(workload: Workload, capacity: RunCapacity) -> float:
    """Give the requests there are whatever the time: by URL, by upload, and the balance."""
    uploads = workload.uploads * (REQUESTS_BY_UPLOAD - REQUESTS_BY_URL)
    return workload.tracks * REQUESTS_BY_URL + uploads + BALANCE_READS * capacity.keys


def _extra_polls(workload: Workload, capacity: RunCapacity, extra: float) -> float:
    """Give the polls of jobs that are not done yet."""
    return workload.tracks * (MISSED_WEBHOOKS if capacity.has_webhooks else extra)


def _polls_the_list(workload: Workload, capacity: RunCapacity) -> bool:
    """Tell whether jobs are polled by their list."""
    return capacity.has_job_list and not capacity.has_webhooks and workload.tracks > FEW_JOBS


def _list_reads_per_second(workload: Workload, capacity: RunCapacity) -> float:
    """Give how often a page of the list is read while jobs are in flight, over all keys."""
    in_flight = min(capacity.max_in_flight, workload.tracks / capacity.keys)
    return capacity.keys * math.ceil(in_flight / PAGE_JOBS) / capacity.list_poll_seconds
