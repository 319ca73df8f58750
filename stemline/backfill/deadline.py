"""Whether a backfill can be done by a day, and what would make it so: asked of the same forecast as the plan."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from stemline.backfill.forecast import BackfillForecast, forecast_backfill, read_spending
from stemline.budget import windows
from stemline.ledger import Backfill, Ledger
from stemline.plan.workload import PendingTrack
from stemline.settings import ProviderFacts, Settings

DAYS_A_MONTH = 31
MOST_KEYS = 16
"""So many API keys are tried at most."""
PARTS_OF_DAYS = (1.0, 0.8, 0.5, 0.0)
"""Limits of the day are tried with which it would be done in such parts of the days that are left."""


@dataclass(frozen=True, slots=True)
class DeadlineAnswer:
    """What is said of a deadline."""

    deadline: datetime
    can_be: str
    """`yes`; `maybe`: it ends before it at the earliest and after it at the latest; `no`."""
    remedies: tuple[str, ...] = ()
    """Changes of which each by itself, or all named in it together, would make it a yes."""

    @property
    def sentence(self) -> str:
        """Say it."""
        day = f"{self.deadline:%Y-%m-%d %H:%M} UTC"
        lead = {
            "yes": f"It is done by {day}.",
            "maybe": f"It may be done by {day}: at the earliest it is, at the latest it is not.",
            "no": f"It is not done by {day}.",
        }[self.can_be]
        if self.can_be == "yes":
            return lead
        return f"{lead} {self._help()}"

    def _help(self) -> str:
        if not self.remedies:
            return "Neither keys nor limits nor budget would make it so."
        return f"To be sure: {'; or '.join(self.remedies)}."


@dataclass(frozen=True, slots=True)
class DeadlineQuestion:
    """A backfill with a deadline: the tracks to pay can be gone through more than once."""

    settings: Settings
    facts: ProviderFacts
    ledger: Ledger | None
    backfill: Backfill
    to_pay: Callable[[], Iterable[PendingTrack]]
    deadline: datetime

    def answer(self) -> DeadlineAnswer:
        """Give the answer, with what would help where it is not a yes."""
        found = self._forecast(self.settings, self.backfill)
        if self._is_in_time(found):
            return DeadlineAnswer(self.deadline, "yes")
        is_maybe = found.ends_at[0] <= self.deadline and not found.held
        return DeadlineAnswer(self.deadline, "maybe" if is_maybe else "no", tuple(self._remedies(found)))

    def _is_in_time(self, found: BackfillForecast) -> bool:
        return found.ends_at[1] <= self.deadline and not found.held

    def _forecast(self, settings: Settings, backfill: Backfill, keys: int | None = None) -> BackfillForecast:
        return forecast_backfill(
            settings, self.facts, self.ledger, backfill, (), to_pay=self.to_pay(), keys=keys
        )

    def _remedies(self, found: BackfillForecast) -> Iterator[str]:
        """Give the changes that suffice by themselves; where none does, those that do together."""
        keys_now = self.settings.provider.accounts
        limits, words = self._roomy(found)
        whole = replace(self.backfill, share=1.0, ceiling=None)
        single: list[tuple[str, Settings, Backfill]] = []
        if self.backfill.share < 1:
            single.append(("--share 100%", self.settings, replace(self.backfill, share=1.0)))
        if words:
            single.append((words, limits, self.backfill))
        suffices = [
            name
            for name, settings, backfill in single
            if self._is_in_time(self._forecast(settings, backfill))
        ]
        more_keys = self._keys_needed(self.settings, self.backfill, keys_now)
        if more_keys is not None:
            suffices.append(_keys(more_keys))
        if suffices:
            yield from suffices
            return
        spent = read_spending(self.ledger, self.backfill).backfill.total
        ceiling = spent + found.workload.credits_high + found.held_credits
        together = self._keys_needed(limits, whole, keys_now - 1)
        if together is not None:
            parts = [words] if words else []
            parts += ["--share 100%"] if self.backfill.share < 1 else []
            parts += [f"--credits {ceiling}"] if self.backfill.ceiling is not None and found.held else []
            parts += [_keys(together)] if together > keys_now else []
            yield " and ".join(parts)

    def _keys_needed(self, settings: Settings, backfill: Backfill, above: int) -> int | None:
        """Give the fewest keys, more than `above`, with which it is in time; None where no number of them is enough."""
        low, high = above + 1, MOST_KEYS
        if high < low or not self._is_in_time(self._forecast(settings, backfill, high)):
            return None
        while low < high:
            middle = (low + high) // 2
            if self._is_in_time(self._forecast(settings, backfill, middle)):
                high = middle
            else:
                low = middle + 1
        return low

    def _roomy(self, found: BackfillForecast) -> tuple[Settings, str]:
        """Give settings with limits that let all of it through in time, and these limits in words.

        Of a few limits, the lowest that is enough, or else the highest.
        """
        days = self._windows_left(found.begins_at)
        tried = [self._with_limits(found, max(1.0, days * part)) for part in PARTS_OF_DAYS]
        enough = (each for each in tried if self._is_in_time(self._forecast(each[0], self.backfill)))
        return next(enough, tried[-1])

    def _with_limits(self, found: BackfillForecast, days: float) -> tuple[Settings, str]:
        """Give the settings whose limits let it through within so many days, besides what was spent today."""
        spent, budget = read_spending(self.ledger, self.backfill), self.settings.budget
        needed = found.workload.credits_high + found.held_credits
        # A day ends with less left than its next track needs.
        a_day = min(needed, math.ceil(needed / days + found.workload.longest_seconds))
        limits = {
            "day": math.ceil((a_day + spent.day.total) / self.backfill.share),
            "month": min(needed, DAYS_A_MONTH * a_day) + spent.month.total,
        }
        changes = {name: limit for name, limit in limits.items() if (getattr(budget, name) or limit) < limit}
        words = " and ".join(f"budget.{name}: {limit}" for name, limit in changes.items())
        return self.settings.model_copy(update={"budget": budget.model_copy(update=changes)}), words

    def _windows_left(self, now: datetime) -> int:
        """Give how many days' credits can be spent before the deadline, one day left to finish in."""
        left = self.deadline - windows(now).next_day - timedelta(hours=6)
        return max(1, 1 + math.ceil(left / timedelta(days=1)))


def _keys(count: int) -> str:
    return f"{count} API keys (provider.keys)"
