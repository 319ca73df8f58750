"""A backfill carried out: a run after another, for as long as a person and the runs that go first let it."""

from __future__ import annotations

import logging
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

from stemline.backfill.progress import progress_tree
from stemline.errors import UsageError
from stemline.ledger import Backfill, BackfillOrder, BackfillState, Ledger, open_ledger
from stemline.ledger.backfill_record import WAITING
from stemline.records import State
from stemline.run.access import read_key_ids
from stemline.run.lane import require_backfill, stopped
from stemline.run.lease import free_keys_of_the_dead
from stemline.run.run import INTERRUPTED
from stemline.run.selection import Result, Selection
from stemline.settings import Settings, load_facts

logger = logging.getLogger(__name__)

LOOK_SECONDS = 1.0
"""How often it is looked whether it may go on."""
UNFINISHED = (State.PLANNED, State.HELD, State.SUBMITTING, State.PROCESSING, State.READY, State.COLLECTED)
"""Tracks in these states have something before them; so have those that no run has planned."""
SUMMED = ("charged", "charged_for_earlier")


@dataclass
class BackfillLegs:
    """The runs that carry out one backfill, one after the other."""

    settings: Settings
    name: str
    sleep: Callable[[float], None] = time.sleep
    _results: list[Result] = field(default_factory=list)
    _behind: int = -1
    """The place in the order up to which its runs have done all there was to do."""
    _order: BackfillOrder | None = None

    def next(self) -> Selection | None:
        """Give what the next run is about, once it may begin; None when there is no next one.

        Blocks while the backfill is paused or somebody else has its API key. Raises UsageError for one that is
        cancelled.
        """
        if self._results and not self._results[-1].goes_on:
            return None
        with open_ledger(self.settings.ledger_url) as ledger:
            if not self._wait_for_turn(ledger):
                return None
        return Selection(backfill=self.name, behind=self._behind)

    def note(self, result: Result, *, is_interrupted: bool = False) -> None:
        """Take what a run came to, and whether it was interrupted by its very end, when its result stood already."""
        if is_interrupted and result.goes_on:
            reason = result.reason or INTERRUPTED
            summary = {**result.summary, "reason": reason}
            result = replace(result, exit_code=130, reason=reason, summary=summary, goes_on=False)
        self._results.append(result)
        if result.reached is not None:
            self._behind = result.reached

    def result(self) -> Result:
        """Give what all of it came to, and book the backfill as finished where nothing is left to do."""
        with open_ledger(self.settings.ledger_url) as ledger:
            last = self._results[-1]
            progress = ledger.backfills.progress(self.name)
            states = sum((Counter(each.states) for each in progress), Counter[str]())
            is_over = not any(states[state] for state in (*UNFINISHED, WAITING))
            backfill = require_backfill(ledger, self.name)
            if is_over and backfill.state is BackfillState.OPEN:
                backfill = ledger.backfills.move(self.name, BackfillState.FINISHED)
            shown = progress_tree(ledger, backfill, progress)
        if backfill.state is BackfillState.CANCELLED and last.goes_on:  # while it waited for its turn
            reason = str(stopped(backfill))
            last = replace(last, reason=reason, summary={**last.summary, "reason": reason})
        tracks = {name: count for name, count in states.items() if name != WAITING}
        summary = {**last.summary, "tracks": tracks, **self._sums(), **shown}
        # The last run may have been about the rest alone, and what failed was in an earlier one.
        exit_code = last.exit_code or (0 if tracks.keys() <= {State.PUBLISHED} else 3)
        return replace(last, exit_code=exit_code, summary=summary, goes_on=False)

    def _sums(self) -> dict[str, Any]:
        """Give the figures that add up over the runs."""
        summaries = [result.summary for result in self._results]
        spent, requests = summaries[-1]["credits"], summaries[-1]["requests"]
        summed = {name: sum(each["credits"][name] for each in summaries) for name in SUMMED}
        windows = summaries[-1]["windows"]
        return {
            "credits": {**spent, **summed},
            "windows": {**windows, "run": {**windows["run"], "charged": summed["charged"]}},
            "requests": {
                **requests,
                **{name: sum(each["requests"][name] for each in summaries) for name in ("sent", "rejected")},
            },
            "seconds": round(sum(each["seconds"] for each in summaries), 3),
        }

    def _wait_for_turn(self, ledger: Ledger) -> bool:
        """Wait until the backfill is open and its keys are free; tell whether there is anything to wait for."""
        told = ""
        while True:
            backfill = require_backfill(ledger, self.name)
            if backfill.state is BackfillState.CANCELLED:
                if self._results:
                    return False
                raise refused(backfill)
            if backfill.state is BackfillState.FINISHED:
                backfill = ledger.backfills.move(self.name, BackfillState.OPEN)
            reason = (
                stopped(backfill).message
                if backfill.state is BackfillState.PAUSED
                else self._key_holder(ledger)
            )
            if not reason:
                self._note_order(backfill.order)
                return True
            if reason != told:
                logger.warning("Backfill %s waits. %s", self.name, reason)
                told = reason
            self.sleep(LOOK_SECONDS)

    def _key_holder(self, ledger: Ledger) -> str:
        """Say who has one of its keys, or wants it; empty when they are free."""
        free_keys_of_the_dead(ledger)
        if ledger.leases.is_wanted(self._key_ids):
            return "A run that goes first wants its API key."
        held = [lease for lease in ledger.leases.held() if lease.key_id in self._key_ids and lease.holder]
        return f"{held[0].holder} works with its API key." if held else ""

    @cached_property
    def _key_ids(self) -> list[str]:
        return read_key_ids(self.settings, load_facts(self.settings.provider.kind))

    def _note_order(self, order: BackfillOrder) -> None:
        """Begin at the front again where a person has changed the order."""
        if order is not self._order:
            self._order, self._behind = order, -1


def refused(backfill: Backfill) -> UsageError:
    """Give the error of who would go on with a backfill that is cancelled."""
    return UsageError(stopped(backfill).message, fix="Give the rest to a backfill of another --name.")
