"""The budget as a run spends it: track by track, waiting for the next day or month where that is wanted."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime

from stemline.budget import Limits, Spending, Spent, check, remaining, windows
from stemline.settings import BudgetSettings


class Allowance:
    """What may still be reserved. The provider's balance is not known to a plan: `budget.floor` plays no part."""

    def __init__(self, budget: BudgetSettings, spending: Spending, now: datetime) -> None:
        """Begin at an instant with what was spent by then."""
        self.limits = Limits(budget.run, budget.day, budget.month)
        self.is_patient = budget.on_limit == "wait"
        self._began = self._now = now
        self._before = self._spending = spending
        self._room = remaining(self.limits, spending)
        self._taken = 0

    @property
    def wait_seconds(self) -> float:
        """How long after the beginning the last track so far was reserved."""
        return (self._now - self._began).total_seconds()

    def take(self, amount: int) -> bool:
        """Reserve a track's credits, in a later window if need be; give False where waiting is no help."""
        if self._room is None:
            return True
        if amount > self._room and not self._wait_for(amount):
            return False
        self._room -= amount
        self._taken += amount
        return True

    def needed(self, amount: int) -> dict[str, int]:
        """Give the limits that are too low for so many credits at once, each with what it would have to be."""
        found = {}
        for name in ("run", "day", "month"):
            limit, spent = getattr(self.limits, name), getattr(self._before, name).total
            if limit is not None and limit < spent + amount:
                found[name] = spent + amount
        return found

    def _wait_for(self, amount: int) -> bool:
        """Let windows pass until there is room; give False for a limit that no window opens again."""
        while held := check(amount, self.limits, self._spent(), self._now):
            if not self.is_patient or held.resumes_at is None:
                return False
            self._move_to(held.resumes_at)
        self._room = remaining(self.limits, self._spending)
        return True

    def _spent(self) -> Spending:
        """Give what is spent by now, and count from here on anew."""
        found, more = self._spending, self._taken
        run, day, month = (
            replace(window, charged=window.charged + more) for window in (found.run, found.day, found.month)
        )
        self._spending, self._taken = Spending(run, day, month), 0
        return self._spending

    def _move_to(self, instant: datetime) -> None:
        is_new_month = windows(instant).month != windows(self._now).month
        month = Spent() if is_new_month else self._spending.month
        self._spending = replace(self._spending, day=Spent(), month=month)
        self._now = instant
