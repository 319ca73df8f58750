"""The arithmetic of credit limits: what may still be reserved, in which window, and what holds a track back.

Pure: the ledger supplies the sums and calls `check_limits` inside the transaction that writes the reservation.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, time, timedelta

from stemline.records import Code


@dataclass(frozen=True, slots=True)
class Limits:
    """The `budget` section in credits, with the balance last read from the provider; None means no limit."""

    run: int | None = None
    day: int | None = None
    month: int | None = None
    floor: int | None = None
    balance: int | None = None
    balance_at: datetime | None = None
    """When `balance` was asked for; whatever the ledger charged since is taken off it."""
    in_balance: int = 0
    """Open reservations that `balance` has felt long ago if ever: of failed jobs in dispute, and of unknown submits."""
    backfill: int | None = None
    """The ceiling of the backfill that a run is part of, over all its runs."""
    backfill_day: int | None = None
    """The share of `day` that this backfill may take."""

    @property
    def caps(self) -> tuple[int | None, ...]:
        """What credits reserved and charged are held against, the balance left aside."""
        return self.run, self.day, self.month, self.backfill, self.backfill_day


@dataclass(frozen=True, slots=True)
class Spent:
    """Credits of one window: open reservations and what the provider charged."""

    reserved: int = 0
    charged: int = 0

    @property
    def total(self) -> int:
        """What counts against a limit."""
        return self.reserved + self.charged


@dataclass(frozen=True, slots=True)
class Spending:
    """The sums a reservation is checked against."""

    run: Spent = Spent()
    day: Spent = Spent()
    month: Spent = Spent()
    not_in_balance: int = 0
    """Credits the balance last read may not show yet: open reservations, and charges since it was read."""
    backfill: Spent = Spent()
    """Of the backfill that a run is part of: over its life, and of the present day."""
    backfill_day: Spent = Spent()


@dataclass(frozen=True, slots=True)
class Windows:
    """The UTC day and month an instant belongs to, and when the next ones begin."""

    day: str
    month: str
    next_day: datetime
    next_month: datetime


@dataclass(frozen=True, slots=True)
class BudgetHold:
    """Why a track is outside the budget, and when waiting would help (None: waiting alone does not)."""

    code: Code
    sentence: str
    resumes_at: datetime | None = None


def windows(now: datetime) -> Windows:
    """Give the UTC day and month of an aware instant."""
    utc = now.astimezone(UTC)
    midnight = datetime.combine(utc.date(), time(), UTC)
    next_month = (midnight.replace(day=1) + timedelta(days=32)).replace(day=1)
    return Windows(
        day=f"{utc:%Y-%m-%d}",
        month=f"{utc:%Y-%m}",
        next_day=midnight + timedelta(days=1),
        next_month=next_month,
    )


def check_limits(amount: int, limits: Limits, spending: Spending, now: datetime) -> BudgetHold | None:
    """Give the limit that `amount` more credits would pass, or None when they fit.

    The limit that takes longest to open again is named first: the backfill's, run, month, day, floor.
    """
    window = windows(now)
    caps = (
        (Code.BUDGET_BACKFILL, "the backfill's ceiling", limits.backfill, spending.backfill.total, None),
        (Code.BUDGET_RUN, "budget.run", limits.run, spending.run.total, None),
        (Code.BUDGET_MONTH, "budget.month", limits.month, spending.month.total, window.next_month),
        (Code.BUDGET_DAY, "budget.day", limits.day, spending.day.total, window.next_day),
        (
            Code.BUDGET_SHARE,
            "the backfill's share of budget.day",
            limits.backfill_day,
            spending.backfill_day.total,
            window.next_day,
        ),
    )
    for code, name, cap, used, resumes_at in caps:
        if cap is not None and used + amount > cap:
            sentence = f"{amount} credits do not fit {name}: {used} of {cap} are reserved or charged."
            return BudgetHold(code, sentence, resumes_at if amount <= cap else None)
    return _check_balance(amount, limits, spending.not_in_balance)


def remaining(limits: Limits, spending: Spending) -> int | None:
    """Give the credits that may still be reserved now, never below 0; None when nothing limits them."""
    rooms = [
        cap - used
        for cap, used in (
            (limits.run, spending.run.total),
            (limits.day, spending.day.total),
            (limits.month, spending.month.total),
            (limits.backfill, spending.backfill.total),
            (limits.backfill_day, spending.backfill_day.total),
        )
        if cap is not None
    ]
    if limits.floor is not None:
        rooms.append((limits.balance or 0) - spending.not_in_balance - limits.floor)
    if limits.balance is not None:
        rooms.append(limits.balance - max(0, spending.not_in_balance - limits.in_balance))
    return max(0, min(rooms)) if rooms else None


def _check_balance(amount: int, limits: Limits, not_in_balance: int) -> BudgetHold | None:
    if limits.floor is not None:
        return _check_floor(amount, limits, not_in_balance, limits.floor)
    if limits.balance is None:
        return None
    # What is reserved for old doubts is not taken off again: the provider would accept the track.
    left = limits.balance - max(0, not_in_balance - limits.in_balance)
    if amount <= left:
        return None
    sentence = (
        f"The provider is out of credits: {amount} do not fit its balance, of which {max(0, left)} of {limits.balance} "
        "are free."
    )
    return BudgetHold(Code.OUT_OF_CREDITS, sentence)


def _check_floor(amount: int, limits: Limits, not_in_balance: int, floor: int) -> BudgetHold | None:
    if limits.balance is None:
        return BudgetHold(Code.BUDGET_FLOOR, "budget.floor is set and the provider's balance is not known.")
    left = limits.balance - not_in_balance - amount
    if left >= floor:
        return None
    sentence = f"{amount} credits would leave {left} with the provider, below budget.floor {floor}."
    return BudgetHold(Code.BUDGET_FLOOR, sentence)
