"""Cost and time as intervals, and what sets the time."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stemline.plan import Work, forecast
from stemline.settings import load_facts

FACTS = load_facts("stemsplit")


def work(count: int, seconds: float, *, is_upload: bool = False) -> Work:
    total = Work()
    for _ in range(count):
        total.add(seconds, is_upload=is_upload)
    return total


def test_credits_are_an_interval_between_rounding_down_and_up():
    total = Work()
    for seconds in (180.0, 10.4, 0.2):
        total.add(seconds, is_upload=False)

    assert (total.credits_low, total.credits_high) == (190, 180 + 11 + 1)


def test_nothing_to_do_takes_no_time():
    found = forecast(Work(), FACTS, requests_per_minute=60, jobs_at_once=100)

    assert (found.seconds_low, found.seconds_high, found.bottleneck) == (0, 0, "nothing to do")


@pytest.mark.parametrize(("is_upload", "minutes"), [(False, 200), (True, 300)])
def test_many_tracks_are_bound_by_the_rate_limit(is_upload, minutes):
    total = work(6000, 180, is_upload=is_upload)
    found = forecast(total, FACTS, requests_per_minute=60, jobs_at_once=1000)

    assert found.bottleneck == "rate limit"
    assert found.seconds_low == pytest.approx(minutes * 60 + 10 + 0.8 * 180)
    assert found.seconds_high == pytest.approx(1.5 * found.seconds_low)


def test_few_places_for_jobs_are_the_bottleneck():
    found = forecast(work(600, 180), FACTS, requests_per_minute=600, jobs_at_once=3)

    assert found.bottleneck == "jobs in flight"
    assert found.seconds_low >= 600 * 154 / 3
    assert "provider.max_in_flight" in found.advice


def test_a_single_track_is_bound_by_the_providers_speed():
    found = forecast(work(1, 180), FACTS, requests_per_minute=60, jobs_at_once=100)

    assert found.bottleneck == "provider speed"
    assert found.seconds_low == pytest.approx(2 + 154)


@settings(deadline=None, max_examples=25)
@given(
    count=st.integers(1, 500),
    seconds=st.floats(1, 3600),
    rate=st.integers(1, 600),
    places=st.integers(1, 200),
)
def test_more_work_never_takes_less_and_never_beats_the_rate_limit(count, seconds, rate, places):
    def forecast_of(tracks: int):
        return forecast(work(tracks, seconds), FACTS, requests_per_minute=rate, jobs_at_once=places)

    less, more = forecast_of(count), forecast_of(count + 1)

    assert less.seconds_low <= more.seconds_low + 1e-6
    assert less.seconds_low >= 2 * count * 60 / rate
    assert less.seconds_low <= less.seconds_high
