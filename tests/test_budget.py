"""Credit limits: what fits, what is held, and when waiting helps."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stemline.budget import BudgetHold, Limits, Spending, Spent, check_limits, remaining, windows
from stemline.records import Code

NOW = datetime(2026, 12, 31, 23, 30, tzinfo=UTC)
credit = st.integers(0, 10_000)
limit = st.none() | credit
spent = st.builds(Spent, credit, credit)
spendings = st.builds(Spending, spent, spent, spent, credit, spent, spent)
limit_sets = st.builds(Limits, limit, limit, limit, limit, limit, backfill=limit, backfill_day=limit)


def test_a_window_is_the_utc_day_and_month_wherever_the_clock_stands() -> None:
    here = NOW.astimezone(timezone(timedelta(hours=9)))
    assert here.day == 1
    found = windows(here)
    assert (found.day, found.month) == ("2026-12-31", "2026-12")
    assert found.next_day == found.next_month == datetime(2027, 1, 1, tzinfo=UTC)


@given(st.datetimes(min_value=datetime(2000, 1, 1), max_value=datetime(2100, 1, 1)))  # noqa: DTZ001 - made aware below
def test_the_next_window_is_the_first_instant_of_another_name(naive: datetime) -> None:
    now = naive.replace(tzinfo=UTC)
    found = windows(now)
    for start, name in ((found.next_day, "day"), (found.next_month, "month")):
        assert start > now
        assert getattr(windows(start), name) != getattr(found, name)
        assert getattr(windows(start - timedelta(microseconds=1)), name) == getattr(found, name)


CAPS = [
    # limits, spending, the code that holds 10 credits back
    (Limits(), Spending(run=Spent(10**9)), None),
    (Limits(run=100), Spending(run=Spent(60, 30)), None),
    (Limits(run=100), Spending(run=Spent(60, 31)), Code.BUDGET_RUN),
    (Limits(day=100), Spending(day=Spent(91)), Code.BUDGET_DAY),
    (Limits(month=100), Spending(month=Spent(0, 91)), Code.BUDGET_MONTH),
    (Limits(run=5, day=5, month=5), Spending(), Code.BUDGET_RUN),
    (Limits(day=5, month=5), Spending(), Code.BUDGET_MONTH),
    (Limits(floor=100, balance=110), Spending(), None),
    (Limits(floor=100, balance=110), Spending(not_in_balance=1), Code.BUDGET_FLOOR),
    (Limits(floor=0, balance=None), Spending(), Code.BUDGET_FLOOR),
    (Limits(run=0), Spending(), Code.BUDGET_RUN),
    (Limits(backfill=100), Spending(backfill=Spent(91)), Code.BUDGET_BACKFILL),
    (Limits(backfill=100, run=0), Spending(backfill=Spent(91)), Code.BUDGET_BACKFILL),
    (Limits(backfill_day=100), Spending(backfill_day=Spent(50, 41)), Code.BUDGET_SHARE),
    (Limits(backfill_day=100, day=100), Spending(backfill_day=Spent(90)), None),
]


@pytest.mark.parametrize(("limits", "spending", "code"), CAPS)
def test_a_track_is_held_by_the_first_limit_it_would_pass(
    limits: Limits, spending: Spending, code: Code | None
) -> None:
    held = check_limits(10, limits, spending, NOW)
    assert (held.code if held else None) == code


def test_a_held_track_knows_when_its_window_opens_again() -> None:
    day = check_limits(10, Limits(day=15), Spending(day=Spent(10)), NOW - timedelta(days=3))
    assert day == BudgetHold(
        Code.BUDGET_DAY,
        "10 credits do not fit budget.day: 10 of 15 are reserved or charged.",
        datetime(2026, 12, 29, tzinfo=UTC),
    )


@pytest.mark.parametrize(
    "limits", [Limits(day=9), Limits(month=9), Limits(run=9), Limits(floor=1, balance=10)]
)
def test_no_window_ever_opens_for_a_track_larger_than_its_limit(limits: Limits) -> None:
    held = check_limits(10, limits, Spending(), NOW)
    assert held is not None
    assert held.resumes_at is None


@given(credit, limit_sets, spendings)
def test_what_fits_is_exactly_what_remains(amount: int, limits: Limits, spending: Spending) -> None:
    room = remaining(limits, spending)
    fits = check_limits(amount, limits, spending, NOW) is None
    if room is None:
        assert fits
    elif amount > room:
        assert not fits
    elif amount > 0:
        assert fits == (limits.floor is None or limits.balance is not None)


@given(credit, limit_sets, spendings)
def test_what_fits_never_passes_a_limit(amount: int, limits: Limits, spending: Spending) -> None:
    if check_limits(amount, limits, spending, NOW) is None:
        for cap, used in (
            (limits.run, spending.run),
            (limits.day, spending.day),
            (limits.month, spending.month),
        ):
            assert cap is None or used.total + amount <= cap
        if limits.floor is not None:
            assert limits.balance is not None
            assert limits.balance - spending.not_in_balance - amount >= limits.floor
