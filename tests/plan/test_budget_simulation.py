"""The budget spent track by track as a run would, over days and months."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.random_examples import examples

from stemline.budget import Spending, Spent, check_limits, windows
from stemline.plan.budget_simulation import BudgetSimulation
from stemline.settings import BudgetSettings

NOON = datetime(2026, 1, 30, 12, tzinfo=UTC)
DAY = 86_400


def simulation(*spent: int, **budget) -> BudgetSimulation:
    run, day, month = (Spent(charged=each) for each in (*spent, 0, 0, 0)[:3])
    return BudgetSimulation(BudgetSettings(**budget), Spending(run, day, month), NOON)


def test_without_limits_everything_fits():
    assert all(simulation().reserve(10**9) for _ in range(3))


def test_a_limit_that_stops_takes_no_more():
    found = simulation(run=100, on_limit="stop")

    assert [found.reserve(60), found.reserve(40), found.reserve(1)] == [True, True, False]


def test_what_was_spent_before_is_not_there_to_spend():
    assert not simulation(0, 50, 50, day=100).reserve(51)


def test_the_next_day_opens_at_midnight():
    found = simulation(0, 50, 50, day=100, on_limit="wait")

    assert found.reserve(50)
    assert found.wait_seconds == 0
    assert found.reserve(100)
    assert found.wait_seconds == DAY / 2
    assert found.reserve(1)
    assert found.wait_seconds == 3 * DAY / 2


def test_the_month_is_waited_for_as_well():
    found = simulation(0, 0, 900, day=500, month=1000, on_limit="wait")

    assert found.reserve(100)
    assert found.reserve(400)
    # 1 February: the month is new, and so is the day.
    assert found.wait_seconds == 1.5 * DAY
    assert found.reserve(100)
    assert found.wait_seconds == 1.5 * DAY
    assert found.reserve(400)
    assert found.wait_seconds == 2.5 * DAY


@pytest.mark.parametrize(("budget", "amount"), [({"run": 10}, 11), ({"day": 10}, 11), ({"month": 10}, 11)])
def test_no_window_helps_what_passes_a_limit_alone_or_the_runs_limit(budget, amount):
    assert not simulation(**budget, on_limit="wait").reserve(amount)


def test_the_limits_to_raise_are_named_with_what_they_would_have_to_be():
    found = simulation(0, 20, 70, run=100, day=100, month=1000)

    assert found.limits_needed(90) == {"day": 110}
    assert found.limits_needed(101) == {"run": 101, "day": 121}


@settings(deadline=None, max_examples=examples(100))
@given(
    amounts=st.lists(st.integers(1, 60), max_size=40),
    run=st.none() | st.integers(0, 500),
    day=st.none() | st.integers(0, 100),
    month=st.none() | st.integers(0, 300),
    on_limit=st.sampled_from(["stop", "wait"]),
)
def test_it_says_what_the_ledgers_own_check_would_say(amounts, run, day, month, on_limit):
    """What it remembers as left over agrees with the sums that `budget.check` is given afresh for every track."""
    found = simulation(run=run, day=day, month=month, on_limit=on_limit)
    now, sums = NOON, Spending()
    for amount in amounts:
        held = check_limits(amount, found.limits, sums, now)
        while held and held.resumes_at and on_limit == "wait":
            is_new_month = windows(held.resumes_at).month != windows(now).month
            sums = Spending(sums.run, Spent(), Spent() if is_new_month else sums.month)
            now = held.resumes_at
            held = check_limits(amount, found.limits, sums, now)
        assert found.reserve(amount) is (held is None)
        if held is not None:
            break
        sums = Spending(*(Spent(charged=each.charged + amount) for each in (sums.run, sums.day, sums.month)))
        assert timedelta(seconds=found.wait_seconds) == now - NOON
