"""Once nothing more is to be submitted, nothing is: what has not left is free again, what is on the wire comes back."""

from __future__ import annotations

import threading

import pytest

from stemline.budget import Limits
from stemline.errors import BudgetReached, LeaseHeld, OutOfCredits, TooManyFailures
from stemline.records import Code, Track

NAMES = [f"t{number}" for number in range(20)]
SLOW = 60
"""Requests a minute at which the second submit waits while the first is on the wire."""
WAIT_SECONDS = 10


@pytest.fixture
def stop_on_wire(harness, vendor):
    """Have something happen while the first submit is on the wire, and be over before it is answered."""

    def arrange(act):
        def meet() -> None:
            vendor.on_post = lambda: None
            act()
            seen = threading.Event()
            harness.group._dispatchers[0].call(lambda _: seen.set())
            seen.wait(WAIT_SECONDS)

        vendor.on_post = meet

    return arrange


def test_after_an_interrupt_only_what_was_on_the_wire_is_paid(harness, vendor, stop_on_wire):
    stop_on_wire(lambda: harness.group.interrupt())  # noqa: PLW0108 - the group is there once it runs
    run_id = harness.plan(*NAMES)
    counts = harness.work(run_id, requests_per_minute=SLOW, max_in_flight=20)
    assert counts == {"processing": 1, "planned": 19}
    assert vendor.requests.count("POST jobs") == 1
    assert harness.ledger.credits.spending(run_id).run.reserved == 10


def test_after_a_lost_lease_nothing_leaves(harness, vendor, stop_on_wire):
    stop_on_wire(lambda: harness.ledger.leases.release("key", 1))
    counts = harness.work(harness.plan(*NAMES), requests_per_minute=SLOW, max_in_flight=20)
    assert isinstance(harness.group.reason, LeaseHeld)
    assert vendor.requests.count("POST jobs") == 1
    # What waited to leave when the lease was lost is not this run's to free any more: the next one finds it unsent.
    assert counts["planned"] + len(harness.ledger.recovery.never_sent("local")) == 19


def test_a_lowered_budget_frees_what_has_not_left(harness, vendor, stop_on_wire):
    limits = [Limits(run=190)]
    stop_on_wire(lambda: limits.__setitem__(0, Limits(run=10)))
    run_id = harness.plan(*NAMES)
    counts = harness.work(run_id, requests_per_minute=SLOW, max_in_flight=20, read_limits=lambda: limits[0])
    assert isinstance(harness.group.reason, BudgetReached)
    assert counts == {"collected": 1, "held": 19}
    assert vendor.requests.count("POST jobs") == 1
    assert harness.ledger.credits.spending(run_id).run.total == 10


def test_room_that_a_run_with_larger_limits_takes_lets_nothing_go(harness, stop_on_wire):
    """Two configurations over one ledger: the one with the smaller budget.day gave up what it had reserved in it."""
    other = harness.plan("other", key_id="another")
    track = Track("other", "http://music.test/other.mp3", 0, duration_seconds=500.0)
    stop_on_wire(
        lambda: harness.ledger.attempts.reserve(
            other, track, "theirs", 500, Limits(day=1000), key_id="another"
        )
    )
    run_id = harness.plan(*NAMES[:6])
    counts = harness.work(
        run_id, requests_per_minute=20 * SLOW, max_in_flight=20, read_limits=lambda: Limits(day=50)
    )
    assert isinstance(harness.group.reason, BudgetReached)
    assert counts == {"collected": 5, "held": 1}
    assert harness.ledger.credits.spending(run_id).run.total == 50


def test_a_budget_is_used_as_far_as_it_goes(harness, vendor):
    counts = harness.work(harness.plan(*NAMES), max_in_flight=20, read_limits=lambda: Limits(run=129))
    assert counts == {"collected": 12, "held": 8}
    assert len(vendor.jobs) == 12


def test_an_exception_in_the_block_ends_the_dispatchers_before_it_is_left(harness, vendor):
    left = threading.Event()
    vendor.on_post = left.set
    run_id = harness.plan(*NAMES)

    def fail_in_block() -> None:
        with harness.running(run_id, requests_per_minute=SLOW, max_in_flight=20):
            assert left.wait(WAIT_SECONDS)
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fail_in_block()
    assert not [each for each in harness.group._dispatchers if each._thread.is_alive()]
    assert len(vendor.jobs) == 1
    assert harness.ledger.credits.spending(run_id).run.total == 10


def test_a_dispatcher_that_has_ended_can_be_called(harness):
    with harness.running(harness.plan("a")) as group:
        for ready in group.ready_tracks():
            group.acknowledge([ready.attempt.token], [])
        group.settle()
        group.wake()
        group.interrupt()


def test_the_balance_is_a_limit_without_any_floor(harness, vendor):
    vendor.credits, vendor.is_strict = 45, True
    run_id = harness.plan(*NAMES)
    assert harness.work(run_id, max_in_flight=20) == {"collected": 4, "held": 16}
    assert vendor.refused == 0
    assert isinstance(harness.group.reason, OutOfCredits)
    assert harness.ledger.queries.codes(run_id) == {Code.OK: 4, Code.OUT_OF_CREDITS: 16}


def test_a_balance_that_is_topped_up_is_noticed(harness, vendor):
    def top_up(path: str) -> None:
        if path == "balance" and len(vendor.jobs) == 4:
            vendor.credits += 500

    vendor.credits, vendor.is_strict, vendor.on_get = 45, True, top_up
    assert harness.work(harness.plan(*NAMES), max_in_flight=20) == {"collected": 20}
    assert vendor.refused == 0


def test_a_balance_that_was_wrong_costs_one_refusal(harness, vendor):
    vendor.submits = ["402"] * 20
    run_id = harness.plan(*NAMES)
    counts = harness.work(run_id, requests_per_minute=SLOW, max_in_flight=20)
    assert isinstance(harness.group.reason, OutOfCredits)
    assert (vendor.refused, counts) == (1, {"held": 20})
    assert harness.ledger.queries.codes(run_id) == {Code.OUT_OF_CREDITS: 20}


def test_credits_in_dispute_do_not_keep_a_balance_from_being_spent(harness, vendor):
    vendor.endings = {"bad": ["FAILED"]}
    vendor.on_get = lambda path: path == "balance" and vendor.jobs and setattr(vendor, "credits", 10)
    harness.work(harness.plan("bad"), max_attempts=1)
    vendor.is_strict = True
    assert harness.work(harness.plan("good")) == {"collected": 1}


@pytest.mark.parametrize(("tolerate", "reason"), [(0.2, TooManyFailures), (0.5, type(None))])
def test_failures_are_tracks_and_not_tries(harness, vendor, tolerate, reason):
    vendor.endings = {"t0": ["FAILED"] * 3, "t1": ["FAILED"] * 2}
    harness.work(
        harness.plan("t0", "t1", "t2", "t3"), tolerate=tolerate, read_selected=lambda: 4, max_attempts=2
    )
    assert type(harness.group.reason) is reason


def test_what_an_earlier_run_submitted_does_not_count_against_this_one(harness, vendor):
    before = [f"old{number}" for number in range(4)]
    vendor.endings = {name: ["PROCESSING"] for name in before}
    harness.work(harness.plan(*before), job_timeout_seconds=0.1)
    for job in vendor.jobs.values():
        job["status"] = "FAILED"
    assert harness.work(harness.plan("t0"), tolerate=0.1, read_selected=lambda: 1) == {"collected": 1}
    assert harness.group.reason is None
