"""What a backfill may take of the rate and of the day's credits: its lane beside the runs that go first."""

from __future__ import annotations

import logging
import math
import threading
from collections.abc import Callable, Collection
from dataclasses import replace
from typing import Self

from stemline.budget import Limits
from stemline.errors import BackfillStopped, KeyWanted, LedgerAway, OrderChanged, StopRun, UsageError
from stemline.ledger import Backfill, BackfillState, Ledger
from stemline.settings import ProviderFacts, Settings

WATCH_SECONDS = 1.0
"""How often it is looked whether a backfill is to stop."""
NAMED = 5
logger = logging.getLogger(__name__)


def lane_limits(limits: Limits, backfill: Backfill) -> Limits:
    """Give the budget's limits with the two of a backfill: its ceiling, and its share of the day."""
    of_day = None if limits.day is None or backfill.share >= 1 else math.floor(backfill.share * limits.day)
    return replace(limits, backfill=backfill.ceiling, backfill_day=of_day)


def lane_requests(settings: Settings, facts: ProviderFacts, backfill: Backfill) -> int:
    """Give the requests a minute that a backfill sends with each key."""
    return max(1, math.floor(backfill.share * facts.pace(settings.provider)))


class LaneWatch:
    """Looks after a backfill's run: stops it when a person says so, or when a run that goes first wants its key."""

    def __init__(
        self, ledger: Ledger, name: str, key_ids: Collection[str], stop: Callable[[StopRun], None]
    ) -> None:
        """Watch for the length of a `with` block; `stop` may be called more than once, from a thread of its own."""
        self._ledger, self._name, self._key_ids, self._stop = ledger, name, tuple(key_ids), stop
        self.backfill = require_backfill(ledger, name)
        """As it was last read: a person may change its ceiling or share while it runs."""
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._watch, name="lane-watch", daemon=True)

    def __enter__(self) -> Self:
        """Begin."""
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        """End."""
        self._over.set()
        self._thread.join()

    def _watch(self) -> None:
        while not self._over.wait(WATCH_SECONDS):
            try:
                self._look()
            except LedgerAway as error:  # whoever needs it for the run waits for it as well
                logger.warning("The backfill's state could not be read: %s", error)

    def _look(self) -> None:
        before, self.backfill = self.backfill, require_backfill(self._ledger, self._name)
        if self._ledger.leases.is_wanted(self._key_ids):
            self._stop(
                KeyWanted("Another run wants the API key, and goes first.", fix="It goes on after it.")
            )
        elif self.backfill.state is not BackfillState.OPEN:
            self._stop(stopped(self.backfill))
        elif self.backfill.order is not before.order:
            self._stop(OrderChanged(f"The order of backfill {self._name} was changed.", fix="It goes on."))


def stopped(backfill: Backfill) -> BackfillStopped:
    """Give the reason why nothing of a backfill that is not open is sent."""
    fix = {
        BackfillState.PAUSED: f"`stemline backfills CONFIG --resume {backfill.name}` goes on with it.",
        BackfillState.CANCELLED: (
            "What was sent is collected all the same; the rest is held, and needs a backfill of another name."
        ),
    }
    return BackfillStopped(
        f"Backfill {backfill.name} is {backfill.state}.",
        fix=fix.get(backfill.state, ""),
        is_paused=backfill.state is BackfillState.PAUSED,
    )


def leave_standing(ledger: Ledger, backfill: Backfill, run_id: str = "") -> int:
    """Let what a cancelled backfill was to make again count as published, as it is; give how many.

    What is under way takes its course, and what a living run other than `run_id` is about is left to that.
    """
    left = 0
    for rows in ledger.backfills.pages(backfill.name):
        again = [row.track.track_id for row in rows if row.last_attempt is not None]
        left += ledger.remakes.give_up(backfill.provider, backfill.recipe, again, run_id)
    return left


def require_backfill(ledger: Ledger, name: str) -> Backfill:
    """Give the backfill of that name; raises UsageError, naming those there are, when there is none."""
    found = ledger.backfills.get(name)
    if found is None:
        names = ", ".join(each.name for each in ledger.backfills.every()[:NAMED]) or "none"
        raise UsageError(f"The ledger knows no backfill {name}; there are: {names}.", fix="Check the name.")
    return found
