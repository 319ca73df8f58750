from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from local_service import Clock

from stemline_local.rate_limit import WINDOW_SECONDS, RequestRateLimit

GAPS = st.lists(st.floats(0, 30, allow_nan=False), min_size=1, max_size=120)


@given(gaps=GAPS, limit=st.integers(1, 10))
def test_a_sliding_window_never_holds_more_than_the_limit(gaps: list[float], limit: int) -> None:
    clock = Clock(1_000.0)
    rate = RequestRateLimit(limit, "sliding", clock)
    allowed = []
    for gap in gaps:
        clock.now += gap
        if rate.take("key").is_allowed:
            allowed.append(clock.now)
        assert sum(time + WINDOW_SECONDS > clock.now for time in allowed) <= limit


@given(gaps=GAPS, limit=st.integers(1, 10))
def test_a_fixed_window_never_holds_more_than_the_limit(gaps: list[float], limit: int) -> None:
    clock = Clock(1_000.0)
    rate = RequestRateLimit(limit, "fixed", clock)
    allowed = []
    for gap in gaps:
        clock.now += gap
        if rate.take("key").is_allowed:
            allowed.append(clock.now // WINDOW_SECONDS)
    assert all(allowed.count(window) <= limit for window in allowed)


@pytest.mark.parametrize("window", ["sliding", "fixed"])
@given(gaps=GAPS, limit=st.integers(1, 5))
def test_waiting_as_told_lets_the_next_request_in(window: str, gaps: list[float], limit: int) -> None:
    clock = Clock(1_000.0)
    rate = RequestRateLimit(limit, window, clock)
    for gap in gaps:
        clock.now += gap
        grant = rate.take("key")
        if not grant.is_allowed:
            assert 1 <= grant.retry_after_seconds <= WINDOW_SECONDS
            assert grant.reset_at >= clock.now
            clock.now += grant.retry_after_seconds
            assert rate.take("key").is_allowed


def test_a_sliding_window_frees_one_place_at_a_time() -> None:
    clock = Clock(1_000.0)
    rate = RequestRateLimit(2, "sliding", clock)
    rate.take("key")
    clock.now += 30
    rate.take("key")
    clock.now += 30

    assert [rate.take("key").is_allowed for _ in range(2)] == [True, False]


def test_a_fixed_window_frees_all_places_at_once() -> None:
    clock = Clock(1_000.0)
    clock.now = 1_019.0  # a second before a minute begins
    rate = RequestRateLimit(2, "fixed", clock)
    assert [rate.take("key").is_allowed for _ in range(3)] == [True, True, False]
    clock.now = 1_020.0

    assert [rate.take("key").is_allowed for _ in range(3)] == [True, True, False]


def test_keys_do_not_share_a_window() -> None:
    rate = RequestRateLimit(1, "sliding", Clock(1_000.0))

    assert rate.take("one").is_allowed
    assert rate.take("two").is_allowed
    assert not rate.take("one").is_allowed


def test_a_grant_counts_down() -> None:
    rate = RequestRateLimit(3, "sliding", Clock(1_000.0))

    grants = [rate.take("key") for _ in range(4)]

    assert [grant.remaining for grant in grants] == [2, 1, 0, 0]
    assert {grant.reset_at for grant in grants} == {1_060}
