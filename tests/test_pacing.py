"""The pace of one key, step by step, and the headers it believes."""

from __future__ import annotations

import pytest

from stemline.client.pacing import LONGEST_PAUSE_SECONDS, Pacer, Quota, read_quota, read_retry_after

UNIX = 1_800_000_000.0
DATE = "Fri, 15 Jan 2027 08:00:00 GMT"
"""`UNIX` as an HTTP date."""


def test_the_first_request_leaves_at_once_and_the_second_waits_for_its_place():
    pacer = Pacer(60)

    assert pacer.wait(100.0) == 0
    pacer.sent(100.0)
    assert pacer.wait(100.0) == 1.0
    assert pacer.wait(101.0) == 0


def test_there_is_no_burst_before_the_limit_is_known():
    pacer = Pacer(600)

    assert _leave_at_once(pacer, 100.0) == 1


def test_after_a_quiet_time_a_small_burst_leaves_at_once():
    pacer = Pacer(60)
    pacer.sent(0.0)
    pacer.update(Quota(60, 59, 60), 0.0, 0.5)

    assert _leave_at_once(pacer, 50.0) == 5


@pytest.mark.parametrize("granted", [60, 120, 7])
def test_of_a_share_no_more_is_sent_whatever_the_headers_grant(granted):
    pacer, now, sent = Pacer(60, most=0.5), 0.0, []
    while now < 600:
        now += pacer.wait(now)
        sent.append(now)
        pacer.sent(now)
        pacer.update(Quota(granted, granted - min(granted, len(sent)), 60), now, now)
        now += 0.01
    busiest = max(sum(at <= other < at + 60 for other in sent) for at in sent)
    assert busiest <= granted // 2
    assert busiest >= granted // 2 - 1


def test_for_a_while_after_trouble_there_is_no_burst():
    pacer = Pacer(60)
    pacer.sent(0.0)
    pacer.update(Quota(60, 59, 60), 0.0, 0.5)
    pacer.suspend_burst(50.0)

    assert _leave_at_once(pacer, 50.0) == 1
    assert _leave_at_once(pacer, 60.0) == 1
    assert _leave_at_once(pacer, 80.0) == 5


def test_with_other_traffic_on_the_key_there_is_no_burst():
    pacer = Pacer(60)
    pacer.sent(0.0)
    pacer.update(Quota(60, 40, 60), 0.0, 0.5)

    assert _leave_at_once(pacer, 50.0) == 1


def test_a_window_that_other_traffic_used_up_is_waited_for():
    pacer = Pacer(60)
    pacer.sent(0.0)
    pacer.update(Quota(60, 0, 30), 0.0, 1.0)

    assert pacer.wait(2.0) >= 29


def test_our_own_requests_are_no_other_traffic_however_late_their_answers_come():
    pacer = Pacer(60)
    for second in range(60):
        pacer.sent(float(second))
    pacer.update(Quota(60, 1, 2.0), 58.0, 200.0)

    assert _leave_at_once(pacer, 200.0) == 5


def test_a_request_that_left_late_counts_from_then():
    pacer = Pacer(1)
    pacer.sent(0.0)
    pacer.correct_sent(0.0, 5.0)

    assert pacer.wait(61.0) >= 4.9


def test_an_answer_that_was_overtaken_does_not_count():
    pacer = Pacer(60)
    pacer.sent(0.0)
    pacer.sent(1.0)
    pacer.update(Quota(30, 28, 50), 1.0, 2.0)
    pacer.update(Quota(60, 59, 60), 0.0, 3.0)

    assert pacer.limit == 30


@pytest.mark.parametrize("limit", [0, -5])
def test_a_limit_of_nothing_still_lets_one_request_a_minute_ask(limit):
    pacer = Pacer(60)
    pacer.sent(0.0)
    pacer.update(Quota(limit, 0, 10), 0.0, 0.5)

    assert pacer.limit == 1
    assert 0 < pacer.wait(1.0) <= 61


@pytest.mark.parametrize(
    ("asked", "silent"),
    [
        (7.0, 7.0),
        (90.0, 90.0),
        (None, 5.0),
        (0.0, 5.0),
        (0.2, 5.0),
        (float("nan"), 5.0),
        (-3.0, 5.0),
        (1e12, LONGEST_PAUSE_SECONDS),
        (float("inf"), LONGEST_PAUSE_SECONDS),
    ],
)
def test_a_429_is_followed_by_silence(asked, silent):
    pacer = Pacer(600)
    pacer.sent(10.0)
    pacer.throttled(asked, 10.0, 20.0)

    assert pacer.wait(20.0) == silent


def test_a_vendor_that_only_ever_says_no_is_asked_ever_less_often():
    pacer, now, pauses = Pacer(600), 0.0, []
    for _ in range(6):
        pacer.sent(now)
        pacer.throttled(None, now, now)
        pauses.append(pacer.wait(now))
        now += pauses[-1]

    assert pauses == [5, 10, 20, 40, 60, 60]


def test_several_refusals_of_one_burst_count_as_one():
    pacer = Pacer(600)
    for _ in range(5):
        pacer.sent(0.0)
        pacer.throttled(None, 0.0, 1.0)

    assert pacer.wait(1.0) == 5


def test_after_a_long_peace_a_refusal_starts_from_the_shortest_silence():
    pacer = Pacer(600)
    for now in (0.0, 5.0, 1000.0):
        pacer.sent(now)
        pacer.throttled(None, now, now)

    assert pacer.wait(1000.0) == 5


def test_a_shorter_retry_after_does_not_end_a_longer_one():
    pacer = Pacer(60)
    pacer.sent(0.0)
    pacer.throttled(40, 0.0, 1.0)
    pacer.throttled(3, 0.0, 1.0)

    assert pacer.wait(1.0) == 40


@pytest.mark.parametrize("skew", [-300, 0, 300])
def test_the_reset_is_read_against_the_vendors_own_clock(skew):
    headers = _quota_headers(date=DATE)

    assert read_quota(headers, UNIX + skew) == Quota(60, 42, 30.0)


def test_without_a_date_our_own_clock_must_do():
    assert read_quota(_quota_headers(), UNIX + 10) == Quota(60, 42, 20.0)


@pytest.mark.parametrize("reset", [-1e9, 1e9, float("inf"), float("-inf"), float("nan")])
def test_a_reset_that_cannot_be_is_not_believed(reset):
    pacer = Pacer(60)
    pacer.sent(0.0)
    pacer.update(Quota(60, 0, reset), 0.0, 1.0)

    assert 59 <= pacer.wait(1.0) <= 61


@pytest.mark.parametrize(
    "broken",
    [
        {"x-ratelimit-limit": "sixty"},
        {"x-ratelimit-remaining": ""},
        {"x-ratelimit-reset": "soon"},
        {"x-ratelimit-limit": "60, 60;w=60"},
    ],
)
def test_headers_that_are_no_numbers_say_nothing(broken):
    assert read_quota({**_quota_headers(), **broken}, UNIX) is None


@pytest.mark.parametrize("missing", ["x-ratelimit-limit", "x-ratelimit-remaining", "x-ratelimit-reset"])
def test_a_quota_needs_all_three_headers(missing):
    headers = _quota_headers()
    del headers[missing]

    assert read_quota(headers, UNIX) is None


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("45", 45.0),
        (" 2.5 ", 2.5),
        ("-3", 0.0),
        ("0", 0.0),
        ("Fri, 15 Jan 2027 08:01:30 GMT", 90.0),
        ("Fri, 15 Jan 2027 07:00:00 GMT", 0.0),
        ("", None),
        ("soon", None),
        ("nan", None),
        ("Fri, 99 Jan 2027 08:01:30 GMT", None),
    ],
)
@pytest.mark.parametrize("skew", [-300, 300])
def test_retry_after_is_seconds_or_a_date_on_the_vendors_clock(text, seconds, skew):
    assert read_retry_after({"retry-after": text, "date": DATE}, UNIX + skew) == seconds


def test_an_answer_without_retry_after_says_nothing():
    assert read_retry_after({}, UNIX) is None


def _leave_at_once(pacer: Pacer, now: float) -> int:
    count = 0
    while pacer.wait(now) == 0:
        pacer.sent(now)
        count += 1
    return count


def _quota_headers(date: str | None = None) -> dict[str, str]:
    headers = {
        "x-ratelimit-limit": "60",
        "x-ratelimit-remaining": "42",
        "x-ratelimit-reset": str(int(UNIX) + 30),
    }
    return {**headers, "date": date} if date else headers
