"""The simulated vendor's window refuses what is too much, and says when it opens again."""

from __future__ import annotations

from email.utils import parsedate_to_datetime

import pytest
from support.simulation import RateWindow

FULL_MINUTE = 1_800_000_000.0
"""A Unix time at which a minute begins."""


def take(window, *times):
    return [window.take(FULL_MINUTE + time)[0] for time in times]


@pytest.mark.parametrize("kind", ["fixed", "sliding"])
def test_one_request_more_than_the_limit_is_refused(kind):
    assert take(RateWindow(3, kind), 50, 51, 52, 53) == [True, True, True, False]


def test_a_fixed_window_opens_with_the_next_minute():
    assert take(RateWindow(2, "fixed"), 58, 59, 59.9, 60) == [True, True, False, True]


def test_a_sliding_window_opens_a_minute_after_the_oldest_request():
    assert take(RateWindow(2, "sliding"), 58, 59, 60, 117.9, 118, 118.5) == [
        True,
        True,
        False,
        False,
        True,
        False,
    ]


def test_a_refused_request_does_not_count():
    assert take(RateWindow(1, "sliding"), 0, 30, 59, 60) == [True, False, False, True]


def test_the_headers_say_what_is_left_and_how_long_to_wait():
    window = RateWindow(2, "sliding")
    first, _, refused = (window.take(FULL_MINUTE + time)[1] for time in (0.0, 10.0, 20.5))

    assert (first["X-RateLimit-Limit"], first["X-RateLimit-Remaining"]) == ("2", "1")
    assert "Retry-After" not in first
    assert (refused["X-RateLimit-Remaining"], refused["Retry-After"]) == ("0", "40")
    assert float(refused["X-RateLimit-Reset"]) == FULL_MINUTE + 60
    assert parsedate_to_datetime(refused["Date"]).timestamp() == FULL_MINUTE + 20
