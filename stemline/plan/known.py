"""Where tracks stand, asked of the ledger without changing or making it."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager

from stemline.budget import Spending
from stemline.ledger import Ledger, open_ledger
from stemline.records import State
from stemline.settings import Settings


class Known:
    """Where tracks stand, asked of the ledger when there is one."""

    def __init__(self, settings: Settings, ledger: Ledger | None) -> None:
        """Ask this ledger; with none, nothing is known."""
        self.ledger = ledger
        self._key = (settings.provider.kind, settings.recipe.as_recipe())
        self._most = settings.failures.max_attempts
        self._last_run = ledger.last_run(settings.name) if ledger else None

    def __call__(self, track_ids: Sequence[str]) -> dict[str, State]:
        """Give where each of these tracks stands that was ever seen."""
        return self.ledger.states_of(*self._key, track_ids) if self.ledger else {}

    def beyond_retry(self, track_ids: Sequence[str]) -> Collection[str]:
        """Name those that failed for good: not retryably, or too often."""
        run = self._last_run
        if self.ledger is None or run is None or (run.provider, run.recipe) != self._key:
            return ()
        found = self.ledger.track_status(run.run_id, track_ids).values()
        failed = [status for status in found if status.state is State.FAILED]
        return {each.track_id for each in failed if not each.is_retryable or each.failures >= self._most}

    def spending(self) -> Spending:
        """Give what is spent of the present windows; a new run has spent nothing."""
        if self.ledger is None or self._last_run is None:
            return Spending()
        found = self.ledger.credits(self._last_run.run_id)
        return Spending(day=found.day, month=found.month)


@contextmanager
def known_states(settings: Settings) -> Iterator[Known]:
    """Open the ledger, unless it is a file that does not exist: looking must not create it."""
    file = settings.ledger_file
    if file is not None and not file.exists():
        yield Known(settings, None)
        return
    with open_ledger(settings.ledger_url) as ledger:
        yield Known(settings, ledger)
