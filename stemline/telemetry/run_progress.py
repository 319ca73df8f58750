"""How far a run is, in figures and in words: what `status`, a run's own display, Prefect and the metrics show."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from stemline.budget import Spent, windows
from stemline.ledger import RunGauges
from stemline.records import Code, State
from stemline.settings import BudgetSettings
from stemline.wording import PROBLEM_STATES, about, counted, credits_text, instant_text, rate_text

PERIODS = {"run": "this run's budget", "day": "the day's budget", "month": "the month's budget"}
_CODES = {"run": Code.BUDGET_RUN, "day": Code.BUDGET_DAY, "month": Code.BUDGET_MONTH}
PACE_IN_USE = 0.9
"""From this share of the granted requests on, the provider's limit is what the rest waits for."""
_DAY_END, _MONTH_END = "the day", "the month"
HELD_BY: dict[Code, tuple[str, str]] = {
    Code.BUDGET_RUN: ("held by this run's budget", ""),
    Code.BUDGET_DAY: ("held by the day's budget", _DAY_END),
    Code.BUDGET_MONTH: ("held by the month's budget", _MONTH_END),
    Code.BUDGET_FLOOR: ("held to keep the balance above budget.floor", ""),
    Code.BUDGET_BACKFILL: ("held by the backfill's ceiling", ""),
    Code.BUDGET_SHARE: ("held by the backfill's share of the day's budget", _DAY_END),
    Code.OUT_OF_CREDITS: ("held until credits are bought", ""),
    Code.PILOT: ("held until the first tracks have come back verified", ""),
}
"""What holds tracks back, and what it is held until."""
_BUSY = {
    State.SUBMITTING: "being sent",
    State.PROCESSING: "with the provider",
    State.READY: "being collected",
    State.COLLECTED: "waiting to be published",
}
"""What the tracks of a run are at that it has begun with."""


@dataclass(frozen=True, slots=True)
class RunProgress:
    """How far a run is: rows that cannot be used are no progress, nor is what was published before it began."""

    gauges: RunGauges
    budget: BudgetSettings

    @property
    def done(self) -> int:
        """How many tracks have come to their end in it, good or bad; stored is as good as published."""
        counts = self.gauges.counts
        ended = sum(counts.get(state, 0) for state in (State.PUBLISHED, State.COLLECTED, *PROBLEM_STATES))
        return ended - self.gauges.published_before

    @property
    def total(self) -> int:
        """How many it is going to bring to their end, as far as its budget allows."""
        return self.done + self._under_way + self._sendable

    @property
    def tracks_a_minute(self) -> float | None:
        """How many the provider finishes in a minute at present; None where it finished none of late."""
        return self.gauges.pace.tracks_a_minute

    @property
    def seconds_left(self) -> float | None:
        """How long the provider needs for what the budget allows; None where nothing tells."""
        to_come = self.gauges.credits_to_come
        room = self._room
        if room is not None:
            to_come = min(to_come, self.gauges.spending.run.reserved + room)
        return self.gauges.seconds_for(to_come)

    def as_tree(self) -> dict[str, Any]:
        """Give it as JSON takes it."""
        rate = self.tracks_a_minute
        return {
            "done": self.done,
            "total": self.total,
            "published_before": self.gauges.published_before,
            "tracks_a_minute": None if rate is None else round(rate, 2),
            "waiting": list(self.waiting()),
        }

    def done_words(self) -> str:
        """Say how many tracks are done, such as `412 of 1,000 tracks`; empty where it has none to do."""
        return f"{self.done:,} of {self.total:,} track{'' if self.total == 1 else 's'}" if self.total else ""

    def pace_words(self) -> str:
        """Say how fast it goes now and how long it will, such as `20 tracks a minute, about 29 min to go`."""
        rate, left = self.tracks_a_minute, self.seconds_left if self.gauges.is_leased else None
        told = [] if rate is None else [rate_text(rate)]
        if left:
            told.append(f"{about(left)} to go")
        return ", ".join(told)

    def credit_words(self) -> str:
        """Say what it has spent, against the budget with the least room."""
        if self._tightest is None:
            spent = self.gauges.spending.run
            told = credits_text(spent.total)
        else:
            name, spent, cap = self._tightest
            told = f"{spent.total:,} of {PERIODS[name]} of {counted(cap, 'credit')}"
        return f"{told}, {spent.reserved:,} of them reserved" if spent.reserved else told

    def waiting(self) -> Iterator[str]:
        """Say what its tracks wait for, one thing at a time: the furthest first."""
        counts = self.gauges.counts
        for state in (State.COLLECTED, State.READY, State.PROCESSING, State.SUBMITTING):
            if count := counts.get(state):
                yield f"{count:,} {_BUSY[state]}"
        yield from self._in_line_words()
        if self.gauges.run.finished_at is not None:
            yield from self._held_words()

    def problems(self) -> Iterator[str]:
        """Say how many rows came to no good, by state."""
        for state in (State.REJECTED, *PROBLEM_STATES):
            if count := self.gauges.counts.get(state):
                yield f"{count:,} {state}"

    def line(self) -> str:
        """Give all of it as one line; empty where nothing is planned yet."""
        parts = (self.done_words(), self.pace_words(), self.credit_words() if self.total else "")
        return "; ".join(filter(None, (*parts, ", ".join(self.waiting()), ", ".join(self.problems()))))

    @property
    def _under_way(self) -> int:
        return sum(self.gauges.counts.get(state, 0) for state in _BUSY if state is not State.COLLECTED)

    @property
    def _sendable(self) -> int:
        """How many of those in line the budget has room for, taken to cost what they do on average."""
        waiting, room = self.gauges.in_line, self._room
        if not waiting or room is None:
            return waiting
        counts = self.gauges.counts
        to_come = waiting + counts.get(State.PROCESSING, 0) + counts.get(State.SUBMITTING, 0)
        mean = self.gauges.credits_to_come / to_come
        return min(waiting, int(room / mean)) if mean else waiting

    def _in_line_words(self) -> Iterator[str]:
        """Say what those in line wait for."""
        fits, traffic = self._sendable, self.gauges.traffic
        if fits:
            is_paced = traffic.utilization is not None and traffic.utilization >= PACE_IN_USE
            pace = f"waiting for the provider's {traffic.granted_a_minute:,} requests a minute"
            yield f"{fits:,} {pace if is_paced else 'in line'}"
        if self._tightest is not None and (held := self.gauges.in_line - fits):
            yield f"{held:,} {self._hold_words(_CODES[self._tightest[0]])}"

    def _held_words(self) -> Iterator[str]:
        """Say what holds back those that an ended run did not send."""
        for code, count in self.gauges.codes.items():
            if code in HELD_BY:
                yield f"{count:,} {self._hold_words(code)}"

    def _hold_words(self, code: Code) -> str:
        words, until = HELD_BY[code]
        window = windows(self.gauges.at)
        ends = {_DAY_END: window.next_day, _MONTH_END: window.next_month}
        return f"{words} until {instant_text(ends[until], self.gauges.at)}" if until else words

    @property
    def _room(self) -> int | None:
        """The credits that may still be reserved; None where no budget limits them."""
        tightest = self._tightest
        return None if tightest is None else max(0, tightest[2] - tightest[1].total)

    @property
    def _tightest(self) -> tuple[str, Spent, int] | None:
        """The budget with the least room: its period, what is spent of it, and the limit."""
        spending = self.gauges.spending
        limits = (
            (name, getattr(spending, name), cap)
            for name in PERIODS
            if (cap := getattr(self.budget, name)) is not None
        )
        return min(limits, key=lambda each: each[2] - each[1].total, default=None)
