"""The circuit by itself: when it opens, whom it lets through, when it closes and when it gives up."""

from __future__ import annotations

import math

import pytest

from stemline.client.circuit import OPENS_AFTER, CircuitBreaker
from stemline.client.retry import RetryPolicy

PATIENCE = RetryPolicy(6, 1.0, 20.0, outage_seconds=900.0)


@pytest.fixture
def circuit() -> CircuitBreaker:
    """A circuit whose vendor has answered once, at 0 s."""
    circuit = CircuitBreaker(PATIENCE)
    circuit.answered(0.0)
    return circuit


def fail(circuit: CircuitBreaker, times: int, begin: float = 1.0) -> None:
    """Have so many requests leave one after the other and come back in vain after half a second."""
    for number in range(times):
        circuit.sent(begin + number)
        circuit.failed(begin + number, begin + number + 0.5, "nobody there")
        circuit.returned(begin + number)


def probe(circuit: CircuitBreaker, now: float) -> float:
    """Have a probe leave as soon as it may, and fail within a second; give when it left."""
    left = now + circuit.wait(now)
    circuit.sent(left)
    circuit.failed(left, left + 1, "still nobody")
    circuit.returned(left)
    return left


def test_it_opens_after_failures_in_a_row(circuit):
    fail(circuit, OPENS_AFTER - 1)
    assert not circuit.is_open
    assert circuit.wait(5.0) == 0

    fail(circuit, 1, begin=5.0)
    assert circuit.is_open
    assert circuit.failing_since == 1.0
    assert circuit.reason == "nobody there"


def test_an_answer_in_between_starts_the_count_anew(circuit):
    for number in range(10):
        fail(circuit, OPENS_AFTER - 1, begin=10.0 * number)
        circuit.answered(10.0 * number + 9)

    assert not circuit.is_open
    assert circuit.failing_since is None
    assert circuit.outages == 0


def test_requests_that_left_before_the_last_answer_say_nothing(circuit):
    circuit.answered(10.0)
    fail(circuit, 20, begin=-20.0)
    for _ in range(20):
        circuit.failed(9.9, 60.0, "timed out")

    assert not circuit.is_open


def test_only_one_probe_is_under_way(circuit):
    fail(circuit, OPENS_AFTER)
    now = 3.5 + circuit.wait(3.5)
    assert circuit.wait(now) == 0

    circuit.sent(now)
    assert circuit.wait(now + 1_000) == math.inf
    circuit.failed(now, now + 10, "silence")
    circuit.returned(now)
    assert 0 < circuit.wait(now + 10) < math.inf


def test_a_probe_that_came_back_with_nothing_to_say_is_followed_by_another(circuit):
    """It was cancelled, or it was answered with a 429."""
    fail(circuit, OPENS_AFTER)
    now = 3.5 + circuit.wait(3.5)
    circuit.sent(now)
    circuit.returned(now)

    assert circuit.is_open
    assert 1 <= circuit.wait(now) <= 2


def test_the_pauses_double_from_two_seconds_to_a_minute(circuit):
    fail(circuit, OPENS_AFTER)
    now = 3.5
    for longest in [2, 4, 8, 16, 32, 60, 60, 60]:
        assert longest / 2 <= circuit.wait(now) <= longest
        now = probe(circuit, now) + 1


def test_what_was_under_way_when_it_opened_puts_nothing_off(circuit):
    fail(circuit, OPENS_AFTER)
    before = circuit.wait(4.0)
    for _ in range(100):
        circuit.failed(1.5, 4.0, "too late")

    assert circuit.wait(4.0) == before


def test_an_hour_takes_few_probes_whatever_is_drawn():
    circuit = CircuitBreaker(RetryPolicy(outage_seconds=10_000))
    circuit.answered(0.0)
    fail(circuit, OPENS_AFTER)
    now, probes = 3.5, 0
    while now < 3_600:
        now = probe(circuit, now) + 1
        probes += 1

    assert probes <= 6 + 3_600 / 30


def test_an_answer_closes_it_whoever_got_it(circuit):
    fail(circuit, OPENS_AFTER)
    circuit.sent(20.0)
    circuit.answered(21.0)

    assert not circuit.is_open
    assert circuit.wait(21.0) == 0
    circuit.failed(20.0, 22.0, "the probe, overtaken")
    assert circuit.failing_since is None


def test_an_outage_is_one_when_a_probe_failed(circuit):
    fail(circuit, OPENS_AFTER)
    circuit.answered(5.0)
    assert circuit.outages == 0

    fail(circuit, OPENS_AFTER, begin=6.0)
    probe(circuit, 9.0)
    circuit.answered(20.0)
    assert circuit.outages == 1


def test_the_pauses_begin_anew_with_the_next_outage(circuit):
    fail(circuit, OPENS_AFTER)
    for _ in range(5):
        probe(circuit, 10.0)
    circuit.answered(100.0)
    fail(circuit, OPENS_AFTER, begin=101.0)

    assert 1 <= circuit.wait(103.5) <= 2


def test_a_vendor_that_answered_before_is_given_up_after_the_outage_seconds(circuit):
    assert circuit.gives_up_at == math.inf
    fail(circuit, OPENS_AFTER, begin=50.0)
    assert circuit.gives_up_at == 950.0
    circuit.answered(500.0)
    assert circuit.gives_up_at == math.inf


def test_a_vendor_that_never_answered_is_given_up_after_what_one_requests_tries_take():
    circuit = CircuitBreaker(PATIENCE)
    fail(circuit, OPENS_AFTER, begin=50.0)

    assert not circuit.has_answered
    assert circuit.gives_up_at == 50 + 0.75 * (1 + 2 + 4 + 8 + 16)


@pytest.mark.parametrize("failures", [1, 7, 100_000])
def test_no_pause_is_longer_than_the_longest(failures):
    assert PATIENCE.pause(failures) <= 20
    assert PATIENCE.probe_pause(failures) <= 60
