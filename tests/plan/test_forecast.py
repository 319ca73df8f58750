"""Cost, requests and time as intervals, and what sets the time."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.random_examples import examples

from stemline.plan.capacity import RunCapacity
from stemline.plan.forecast import bottleneck_seconds, forecast_workload
from stemline.plan.workload import Workload

CAPACITY = RunCapacity(
    requests_per_minute=60, max_in_flight=1000, latency_seconds=10, speed=0.8, slow_speed=1.2
)
EACH = 10 + 0.8 * 180


def workload(count: int, seconds: float = 180, *, is_upload: bool = False) -> Workload:
    total = Workload()
    for _ in range(count):
        total.add(seconds, is_upload=is_upload)
    return total


def test_credits_are_an_interval_between_rounding_down_and_up():
    total = Workload()
    for seconds in (180.0, 10.4, 0.2):
        total.add(seconds, is_upload=False)

    assert (total.credits_low, total.credits_high) == (190, 180 + 11 + 1)


def test_a_track_of_unknown_length_costs_between_the_shortest_and_the_longest():
    total = Workload()
    total.add(3600, is_upload=False, least=5)

    assert (total.credits_low, total.credits_high) == (5, 3600)


def test_nothing_to_do_takes_no_time():
    found = forecast_workload(Workload(), CAPACITY)

    assert (found.seconds_low, found.seconds_high, found.bottleneck) == (0, 0, "nothing to do")


@pytest.mark.parametrize(("is_upload", "requests"), [(False, 2), (True, 3)])
def test_many_tracks_are_bound_by_the_rate_limit(is_upload, requests):
    with_webhooks = replace(CAPACITY, has_webhooks=True)
    found = forecast_workload(workload(6000, is_upload=is_upload), with_webhooks)

    assert found.bottleneck == "rate limit"
    assert found.seconds_low == pytest.approx(6000 * (requests + 0.02) + 2 + EACH)
    assert found.requests_low == found.requests_high == 6000 * requests + 122


def test_reads_of_the_job_list_count_against_the_same_rate():
    """Ten pages of a hundred jobs every 15 s are 40 of the 60 requests a minute."""
    found = forecast_workload(workload(6000), CAPACITY)

    assert found.seconds_low == pytest.approx(min((12_002) * 60 / 20, (12_002 + 1.5 * 6000)) + EACH)
    assert found.requests_low > 12_002


def test_without_a_list_every_poll_is_a_request():
    without_list = replace(CAPACITY, has_job_list=False)
    found = forecast_workload(workload(1000), without_list)

    assert (found.requests_low, found.requests_high) == (2002, 6002)
    assert bottleneck_seconds(workload(1000), without_list)["rate limit"] == pytest.approx(2502)


@pytest.mark.parametrize(
    ("tracks", "seconds", "uploads", "measured"), [(500, 2, True, 1525), (12, 34, True, 49)]
)
def test_requests_agree_with_what_runs_over_the_local_service_took(tracks, seconds, uploads, measured):
    """docs/performance.md has the figures; a run took as many requests or a few less."""
    local = RunCapacity(
        600, 100, jobs_at_once=3, list_poll_seconds=1, latency_seconds=1, speed=0.1, slow_speed=0.15
    )
    found = forecast_workload(workload(tracks, seconds, is_upload=uploads), local)

    assert found.requests_low == pytest.approx(measured, rel=0.2)


def test_few_jobs_in_flight_are_the_bottleneck():
    found = forecast_workload(workload(600), replace(CAPACITY, requests_per_minute=600, max_in_flight=3))

    assert found.bottleneck == "jobs in flight"
    assert found.seconds_low == pytest.approx(600 * EACH / 3)


def test_the_jobs_a_provider_works_on_at_once_are_its_speed():
    found = forecast_workload(workload(600), replace(CAPACITY, requests_per_minute=600, jobs_at_once=3))

    assert found.bottleneck == "provider speed"
    assert found.seconds_low == pytest.approx(600 * EACH / 3, rel=0.01)


def test_a_single_track_is_bound_by_the_providers_speed():
    found = forecast_workload(workload(1), CAPACITY)

    assert found.bottleneck == "provider speed"
    assert EACH < found.seconds_low < EACH + 10


def test_one_long_track_among_short_ones_is_waited_for():
    total = workload(50, 10)
    total.add(3600, is_upload=False)

    assert forecast_workload(total, CAPACITY).seconds_low >= 10 + 0.8 * 3600
    assert forecast_workload(total, CAPACITY).bottleneck == "provider speed"


def test_a_slow_network_is_the_bottleneck():
    found = forecast_workload(workload(600), replace(CAPACITY, stem_bytes=423_360, bytes_per_second=1e6))

    assert found.bottleneck == "bandwidth"
    assert found.seconds_low == pytest.approx(600 * 180 * 0.42336 + EACH)


def test_a_network_that_was_not_measured_is_no_limit():
    assert bottleneck_seconds(workload(600), replace(CAPACITY, stem_bytes=10**9))["bandwidth"] == 0


def test_a_budget_that_is_waited_for_is_the_bottleneck():
    found = forecast_workload(workload(600), CAPACITY, wait_seconds=3 * 86_400)

    assert found.bottleneck == "budget"
    assert found.seconds_low == pytest.approx(3 * 86_400 + EACH)
    assert found.seconds_high < found.seconds_low + 3600
    assert found.requests_high == forecast_workload(workload(600), CAPACITY).requests_high


@pytest.mark.parametrize("keys", [2, 3])
def test_keys_multiply_the_rate_and_the_jobs_in_flight(keys):
    with_webhooks = replace(CAPACITY, has_webhooks=True, max_in_flight=100)
    one, several = (
        bottleneck_seconds(workload(6000), replace(with_webhooks, keys=each)) for each in (1, keys)
    )

    assert several["rate limit"] == pytest.approx(one["rate limit"] / keys, rel=0.01)
    assert one["jobs in flight"] == pytest.approx((60 - 1) * EACH)
    assert several["jobs in flight"] == pytest.approx((60 / keys - 1) * EACH)
    assert several["provider speed"] == one["provider speed"]


CAPACITIES = st.builds(
    RunCapacity,
    requests_per_minute=st.integers(1, 600),
    max_in_flight=st.integers(1, 200),
    keys=st.integers(1, 3),
    jobs_at_once=st.none() | st.integers(1, 5),
    has_job_list=st.booleans(),
    has_webhooks=st.booleans(),
    latency_seconds=st.floats(0, 60),
)


@settings(deadline=None, max_examples=examples(50))
@given(count=st.integers(1, 500), seconds=st.floats(1, 3600), capacity=CAPACITIES)
def test_more_work_never_takes_less_and_never_beats_the_rate_limit(count, seconds, capacity):
    less, more = (forecast_workload(workload(tracks, seconds), capacity) for tracks in (count, count + 1))

    assert less.seconds_low <= more.seconds_low + 1e-6
    assert less.seconds_low >= 2 * count * 60 / (capacity.requests_per_minute * capacity.keys)
    assert less.seconds_low <= less.seconds_high
    assert 2 * count <= less.requests_low <= less.requests_high <= 7 * count + 2 * capacity.keys
