"""The pace against a simulated vendor: no request too many, and hardly one too few."""

from __future__ import annotations

import heapq
import itertools
import math
import random
from collections import deque
from dataclasses import dataclass, field
from email.utils import formatdate

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from support.random_examples import examples

from stemline.client.pacing import Pacer, read_quota, read_retry_after

HALF_HOUR = 1800.0
UNIX = 1_800_000_000.0


@dataclass
class RateLimitingVendor:
    """Counts requests as vendors do: in minutes that begin with a phase, or in the minute before each request."""

    limit: int
    window: str
    """`fixed`, `sliding`, or `weighted`: the last fixed minute counts in part, as some gateways approximate."""
    phase: float = 0.0
    reset_style: str = "oldest"
    """What a sliding vendor calls the reset: when the `oldest` request leaves, or a whole minute from `now`."""
    has_date: bool = True
    retry_after: str = "seconds"
    times: deque[float] = field(default_factory=deque)

    def take(self, now: float) -> tuple[bool, dict[str, str]]:
        while self.times and self._leaves(self.times[0]) <= now:
            self.times.popleft()
        is_allowed = self._used(now) < self.limit
        if is_allowed:
            self.times.append(now)
        resets = self._leaves(now if self.reset_style == "now" else self.times[0])
        headers = {
            "x-ratelimit-limit": str(self.limit),
            "x-ratelimit-remaining": str(max(0, self.limit - math.ceil(self._used(now)))),
            "x-ratelimit-reset": str(math.ceil(UNIX + resets)),
        }
        if self.has_date:
            headers["date"] = formatdate(UNIX + now, usegmt=True)
        if not is_allowed and self.retry_after == "seconds":
            headers["retry-after"] = str(math.ceil(self._leaves(self.times[0]) - now))
        if not is_allowed and self.retry_after == "date":
            headers["retry-after"] = formatdate(UNIX + math.ceil(self._leaves(self.times[0])), usegmt=True)
        return is_allowed, headers

    def _used(self, now: float) -> float:
        if self.window != "weighted":
            return len(self.times)
        begin = self._minute(now)
        before = sum(time < begin for time in self.times)
        return len(self.times) - before + before * (1 - (now - begin) / 60)

    def _leaves(self, time: float) -> float:
        if self.window == "sliding":
            return time + 60
        return self._minute(time) + (60 if self.window == "fixed" else 120)

    def _minute(self, time: float) -> float:
        return (time - self.phase) // 60 * 60 + self.phase


@dataclass
class PacingRecord:
    """What happened: when requests left, which arrived and were refused, and when we learned so."""

    left: list[float] = field(default_factory=list)
    granted: int = 0
    refused: list[float] = field(default_factory=list)
    """When each refused request had left."""
    pauses: list[tuple[float, float]] = field(default_factory=list)
    """From when to when a Retry-After forbade requests."""


@dataclass
class PacingScenario:
    """A vendor, a network, clocks and other traffic."""

    vendor: RateLimitingVendor
    belief: int = 60
    seed: int = 0
    latency: float = 0.9
    skew: float = 0.0
    other_requests: tuple[float, ...] = ()
    changes: tuple[tuple[float, int], ...] = ()
    """When the vendor's limit becomes another."""
    seconds: float = HALF_HOUR

    def simulate(self) -> PacingRecord:
        """Send whenever the pacer lets us, as if there were no end of requests."""
        pacer, record, draws = Pacer(self.belief), PacingRecord(), random.Random(self.seed)  # noqa: S311 - a simulation
        order = itertools.count()
        events = [(time, next(order), "other request", 0.0, {}) for time in self.other_requests]
        events += [(time, next(order), "change", limit, {}) for time, limit in self.changes]
        heapq.heapify(events)
        now = 0.0
        while now < self.seconds:
            next_at = now + pacer.wait(now)
            if events and events[0][0] <= next_at:
                now, _, kind, sent_at, headers = heapq.heappop(events)
                if kind == "other request":
                    self.vendor.take(now)
                elif kind == "change":
                    self.vendor.limit = int(sent_at)
                elif kind == "arrives":
                    is_allowed, headers = self.vendor.take(now)
                    record.granted += is_allowed
                    if not is_allowed:
                        record.refused.append(sent_at)
                    back = now + draws.uniform(0, self.latency)
                    heapq.heappush(
                        events, (back, next(order), "granted" if is_allowed else "refused", sent_at, headers)
                    )
                else:
                    self._take_answer(pacer, record, now, (kind, sent_at, headers))
            elif next_at <= now:
                pacer.sent(now)
                record.left.append(now)
                arrives = now + draws.uniform(0, self.latency)
                heapq.heappush(events, (arrives, next(order), "arrives", now, {}))
            else:
                now = next_at
        return record

    def _take_answer(
        self, pacer: Pacer, record: PacingRecord, now: float, answer: tuple[str, float, dict[str, str]]
    ) -> None:
        kind, sent_at, headers = answer
        if kind == "refused":
            pause = read_retry_after(headers, UNIX + now + self.skew)
            pacer.throttled(pause, sent_at, now)
            if pause and self.vendor.has_date:
                record.pauses.append((now, now + pause))
        pacer.update(read_quota(headers, UNIX + now + self.skew), sent_at, now)


vendors = st.builds(
    RateLimitingVendor,
    limit=st.sampled_from([1, 7, 30, 60, 61, 120]),
    window=st.sampled_from(["fixed", "sliding"]),
    phase=st.floats(0, 60),
    reset_style=st.sampled_from(["oldest", "now"]),
    has_date=st.booleans(),
)
conditions = st.fixed_dictionaries(
    {"seed": st.integers(0, 10_000), "latency": st.floats(0, 0.9), "skew": st.floats(-300, 300)}
)


@settings(max_examples=examples(12), deadline=None)
@given(vendor=vendors, condition=conditions)
def test_alone_on_a_key_nothing_is_refused_and_hardly_anything_left_unused(vendor, condition):
    record = PacingScenario(
        vendor,
        belief=vendor.limit,
        **condition,
    ).simulate()

    assert record.refused == []
    # Requests come one by one: of a limit of seven, the last ones may be on their way when time is up.
    assert len(record.left) >= math.floor(0.97 * vendor.limit * HALF_HOUR / 60)


@settings(max_examples=examples(12), deadline=None)
@given(vendor=vendors, belief=st.sampled_from([10, 60, 600]), condition=conditions)
def test_a_wrong_belief_is_corrected_by_the_first_answers(vendor, belief, condition):
    vendor.limit = max(vendor.limit, 60)
    record = PacingScenario(
        vendor,
        belief=belief,
        **condition,
    ).simulate()

    assert record.refused == []
    assert len(record.left) >= 0.96 * vendor.limit * HALF_HOUR / 60


@settings(max_examples=examples(12), deadline=None)
@given(vendor=vendors, at=st.floats(100, 900), condition=conditions)
@example(RateLimitingVendor(60, "fixed"), 600.0, {"seed": 0, "latency": 0.9, "skew": 0.0})
@example(
    RateLimitingVendor(60, "sliding", retry_after="date"), 600.0, {"seed": 0, "latency": 0.9, "skew": 0.0}
)
def test_after_a_halved_limit_only_what_was_under_way_is_refused(vendor, at, condition):
    vendor.limit = max(vendor.limit, 30)
    half = vendor.limit // 2
    record = PacingScenario(vendor, belief=vendor.limit, **condition, changes=((at, half),)).simulate()

    # There and back takes 1.8 s at most; the even flow and one burst may be under way by then.
    assert all(at - 2 <= sent <= at + 4 for sent in record.refused)
    after = [sent for sent in record.left if sent > at + 120]
    assert len(after) >= math.floor(0.96 * half * (HALF_HOUR - at - 120) / 60) - 1


@settings(max_examples=examples(12), deadline=None)
@given(vendor=vendors, at=st.floats(100, 900), condition=conditions)
def test_a_raised_limit_is_used_at_once(vendor, at, condition):
    vendor.limit = max(vendor.limit, 30)
    record = PacingScenario(
        vendor,
        belief=vendor.limit,
        **condition,
        changes=((at, 2 * vendor.limit),),
    )
    limit, record = vendor.limit, record.simulate()

    assert record.refused == []
    after = [sent for sent in record.left if sent > at + 5]
    assert len(after) >= 0.96 * 2 * limit * (HALF_HOUR - at - 5) / 60


@settings(max_examples=examples(12), deadline=None)
@given(
    vendor=vendors, share=st.floats(0.1, 0.6), start=st.sampled_from([0.0, 59.0, 200.0]), condition=conditions
)
def test_steady_other_traffic_is_made_way_for(vendor, share, start, condition):
    vendor.limit, vendor.has_date = 60, True
    other_requests = tuple(start + index / share for index in range(int((HALF_HOUR - start) * share)))
    record = PacingScenario(vendor, belief=60, **condition, other_requests=other_requests).simulate()

    # Whoever comes into a window that is nearly used up takes a place that was ours; after that, we know of them.
    assert len(record.refused) <= (6 if start else 0)
    assert all(start <= sent < start + 190 for sent in record.refused)
    assert record.granted >= 0.4 * (HALF_HOUR - len(other_requests))


def test_once_the_other_traffic_has_ended_the_whole_limit_is_used_again():
    other_requests = tuple(index * 2.0 for index in range(300))
    scenario = PacingScenario(RateLimitingVendor(60, "fixed"), other_requests=other_requests)

    record = scenario.simulate()

    after = [sent for sent in record.left if sent > 600 + 180]
    assert len(after) >= 0.97 * (HALF_HOUR - 780)


@settings(max_examples=examples(12), deadline=None)
@given(
    vendor=vendors,
    bursts=st.lists(st.tuples(st.floats(0, 1700), st.integers(10, 60)), max_size=6),
    retry_after=st.sampled_from(["seconds", "date"]),
    condition=conditions,
)
def test_nothing_leaves_before_a_retry_after_is_over(vendor, bursts, retry_after, condition):
    vendor.limit, vendor.retry_after, vendor.has_date = 60, retry_after, True
    other_requests = tuple(at for at, count in bursts for _ in range(count))
    record = PacingScenario(vendor, belief=60, **condition, other_requests=other_requests).simulate()

    for begin, end in record.pauses:
        assert not [sent for sent in record.left if begin < sent < end]


@pytest.mark.parametrize("window", ["fixed", "sliding"])
def test_a_vendor_without_usable_headers_sees_an_even_flow(window):
    vendor, pacer, now, left = RateLimitingVendor(60, window), Pacer(60), 0.0, 0
    while now < HALF_HOUR:
        now += pacer.wait(now)
        pacer.sent(now)
        left += 1
        assert vendor.take(now)[0]

    assert left >= 0.97 * HALF_HOUR


@pytest.mark.parametrize("limit", [60, 600])
@pytest.mark.parametrize("window", ["fixed", "sliding"])
def test_the_share_used_of_the_limit_is_above_ninety_eight_percent(window, limit):
    record = PacingScenario(RateLimitingVendor(limit, window, phase=17.0), belief=limit).simulate()

    assert (record.refused, len(record.left) >= 0.98 * limit * 30) == ([], True)


def test_a_gateway_that_only_approximates_a_sliding_minute_refuses_hardly_anything():
    record = PacingScenario(RateLimitingVendor(60, "weighted", phase=17.3), belief=60, seed=3).simulate()

    assert len(record.refused) <= 3
    assert record.granted >= 0.9 * HALF_HOUR
