"""Which tracks the budget has room for: spent track by track as a run would, over days and months."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from datetime import datetime
from typing import NamedTuple

from stemline.budget import Limits, Spending, Spent, check_limits, remaining, windows
from stemline.plan.workload import PendingTrack, Workload, credits_to_reserve
from stemline.records import Code
from stemline.settings import BudgetSettings, ProviderFacts


class BudgetSimulation:
    """Reserves credits as a run would, on paper.

    The provider's balance is not known to a plan: `budget.floor` plays no part.
    """

    def __init__(
        self, budget: BudgetSettings, spending: Spending, now: datetime, limits: Limits | None = None
    ) -> None:
        """Begin at `now` with what was spent by then; `limits` are those of the budget where none are given."""
        self.limits = limits or Limits(budget.run, budget.day, budget.month)
        self._waits_for_windows = budget.on_limit == "wait"
        self._started = self._now = now
        self._spent_before = self._spending = spending
        self._remaining = remaining(self.limits, spending)
        self._reserved = 0
        self.held_by: Code | None = None
        """The limit that the track refused last does not fit, whatever day it is."""

    @property
    def wait_seconds(self) -> float:
        """How long after the beginning the last track so far was reserved."""
        return (self._now - self._started).total_seconds()

    def reserve(self, amount: int) -> bool:
        """Reserve a track's credits, in a later day or month if need be; give False where waiting is no help."""
        if self._remaining is None:
            return True
        if amount > self._remaining and not self._wait_for(amount):
            return False
        self._remaining -= amount
        self._reserved += amount
        return True

    def limits_needed(self, amount: int) -> dict[str, int]:
        """Give the limits that are too low for so many credits at once, each with what it would have to be."""
        found = {}
        for name in ("run", "day", "month"):
            limit, spent = getattr(self.limits, name), getattr(self._spent_before, name).total
            if limit is not None and limit < spent + amount:
                found[name] = spent + amount
        return found

    def ceiling_needed(self, amount: int) -> int | None:
        """Give what a backfill's ceiling would have to be; None where it is not what holds tracks back."""
        is_ceiling = self.held_by is Code.BUDGET_BACKFILL
        return self._spent_before.backfill.total + amount if is_ceiling else None

    def _wait_for(self, amount: int) -> bool:
        """Let days and months pass until there is room; give False for a limit that no later window lifts."""
        while held := check_limits(amount, self.limits, self._spending_now(), self._now):
            if not self._waits_for_windows or held.resumes_at is None:
                self.held_by = held.code
                return False
            self._move_to(held.resumes_at)
        self._remaining = remaining(self.limits, self._spending)
        return True

    def _spending_now(self) -> Spending:
        """Give what is spent with all that was reserved so far."""
        found, more = self._spending, self._reserved
        names = ("run", "day", "month", "backfill", "backfill_day")
        present = {name: getattr(found, name) for name in names}
        grown = {name: replace(window, charged=window.charged + more) for name, window in present.items()}
        self._spending, self._reserved = Spending(**grown), 0
        return self._spending

    def _move_to(self, instant: datetime) -> None:
        is_new_month = windows(instant).month != windows(self._now).month
        month = Spent() if is_new_month else self._spending.month
        self._spending = replace(self._spending, day=Spent(), month=month, backfill_day=Spent())
        self._now = instant


class BudgetFit(NamedTuple):
    """The tracks still to do, parted by a budget."""

    workload: Workload
    """What fits."""
    held: Workload
    """What does not."""
    simulation: BudgetSimulation
    """The budget as it is afterwards."""


def fit_to_budget(
    tracks: Iterable[PendingTrack], simulation: BudgetSimulation, facts: ProviderFacts
) -> BudgetFit:
    """Spend the budget on tracks in the order a run would; give what fits and what is held."""
    workload, held = Workload(), Workload()
    for track in tracks:
        seconds = facts.max_duration_seconds if track.seconds is None else track.seconds
        least = facts.min_duration_seconds if track.seconds is None else None
        # A run ends at the first track that does not fit, though a shorter one behind it might.
        fits = not held.tracks and simulation.reserve(credits_to_reserve(seconds))
        part = workload if fits else held
        part.add(seconds, is_upload=track.is_upload, least=least)
        part.add_mix(track.mix_bytes)
    return BudgetFit(workload, held, simulation)
