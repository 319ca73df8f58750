"""What a plan reads of the ledger, without changing or creating it."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime

from stemline.budget import Spending
from stemline.clock import utc_now
from stemline.ledger import Ledger, MeasuredTrack, WrittenRow, is_for_good, view_ledger
from stemline.ledger.database import check_ledger_place, check_ledger_url
from stemline.ledger.remake import IDLE
from stemline.records import State
from stemline.settings import Settings, load_facts, outputs_kept_since


class LedgerView:
    """States of tracks and credits spent, read from a ledger where there is one."""

    def __init__(self, settings: Settings, ledger: Ledger | None) -> None:
        """Read this ledger; without one, no track has a state and nothing is spent."""
        self.ledger = ledger
        self._key = (settings.provider.kind, settings.recipe.as_recipe())
        self._max_attempts = settings.failures.max_attempts
        self._last_run = ledger.runs.last(settings.name) if ledger else None

    def now(self) -> datetime:
        """Give the present instant: the ledger's, by which its days begin, where there is one."""
        return utc_now() if self.ledger is None else self.ledger.clock()

    def states_of(self, track_ids: Sequence[str]) -> dict[str, State]:
        """Give the state of each of these tracks that the ledger has.

        What a backfill waits to make again is published: a run that does not ask for that lets it stand as it is.
        """
        if self.ledger is None:
            return {}
        found = self.ledger.tracks.states(*self._key, track_ids)
        unsent = [track_id for track_id, state in found.items() if state in IDLE]
        remade = self.ledger.remakes.idle(*self._key, unsent) if unsent else ()
        return found | dict.fromkeys(remade, State.PUBLISHED)

    def written_of(self, track_ids: Sequence[str]) -> dict[str, WrittenRow]:
        """Give the manifest's row of each of these tracks as the ledger has it."""
        return self.ledger.tracks.written(*self._key, track_ids) if self.ledger and track_ids else {}

    def measured_of(self, track_ids: Sequence[str]) -> dict[str, MeasuredTrack]:
        """Give what the ledger knows of those of these tracks whose length it has: they are not probed again."""
        return self.ledger.queries.measured(*self._key, track_ids) if self.ledger else {}

    def published_locations(self) -> Iterator[str]:
        """Stream where the sources of published tracks lie."""
        if self.ledger is not None:
            yield from self.ledger.queries.published_locations(*self._key)

    def failed_for_good(self, track_ids: Sequence[str]) -> Collection[str]:
        """Name those that failed for good: not retryably, or too often."""
        run = self._last_run
        if self.ledger is None or run is None or (run.provider, run.recipe) != self._key:
            return ()
        found = self.ledger.tracks.status(run.run_id, track_ids).values()
        failed = [status for status in found if status.state is State.FAILED]
        return {
            each.track_id
            for each in failed
            if is_for_good(
                each.code,
                is_retryable=each.is_retryable,
                failures=each.failures,
                max_attempts=self._max_attempts,
            )
        }

    def collectable(self, track_ids: Sequence[str]) -> Collection[str]:
        """Name those that are quarantined and that a run collects again for nothing."""
        if self.ledger is None or not track_ids:
            return ()
        since = outputs_kept_since(load_facts(self._key[0]), self.now())
        return self.ledger.quarantine.collectable(*self._key, track_ids, since)

    def spending(self) -> Spending:
        """Give what is spent of the present windows; a new run has spent nothing."""
        if self.ledger is None or self._last_run is None:
            return Spending()
        found = self.ledger.credits.spending(self._last_run.run_id)
        return Spending(day=found.day, month=found.month)


@contextmanager
def open_ledger_view(settings: Settings) -> Iterator[LedgerView]:
    """Open the ledger, unless it is a file that does not exist: reading must not create it.

    Raises StorageError where a run could not create it either.
    """
    check_ledger_url(settings.ledger_url)
    file = settings.ledger_file
    if file is not None and not file.exists():
        check_ledger_place(file)
        yield LedgerView(settings, None)
        return
    ledger = view_ledger(settings.ledger_url)
    if ledger is None:
        yield LedgerView(settings, None)
        return
    with ledger:
        yield LedgerView(settings, ledger)
