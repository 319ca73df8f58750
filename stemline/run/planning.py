"""The first step of a run: what it is about is put into the ledger."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property, partial
from threading import Event

from stemline.dataset.metadata import write_rejects
from stemline.ledger import CollectAgain
from stemline.manifest import ManifestSource
from stemline.plan.metadata_check import count_unclear
from stemline.plan.survey import SurveyedBatch, survey_catalogue, without_forgotten
from stemline.records import Code, State
from stemline.run.batch_planning import BatchPlanning
from stemline.run.context import RunContext
from stemline.run.head_start import survey_head
from stemline.run.required_rights import reject_without_rights
from stemline.run.summary import LengthTally
from stemline.settings import outputs_kept_since

logger = logging.getLogger(__name__)

DONE = frozenset({State.COLLECTED, State.PUBLISHED, State.READY, State.PROCESSING, State.SUBMITTING})
"""The audio of a track in one of these states need not be probed again."""
FROZEN_ROWS = 5_000
"""So many rows of a backfill are planned at a time."""
TO_DO = frozenset({State.PLANNED, State.HELD, State.SUBMITTING, State.PROCESSING, State.READY, State.UNKNOWN})
"""The states of tracks that something is to be done about: what was done before the run can fail no more."""
LEG_TRACKS = 20_000
"""About so many waiting tracks of a backfill is one run, the work of half a day.

Each run plans and ends all that it is about: one that gives its key to another each night would do that for all of it.
"""


@dataclass
class RunPlanning:
    """Plans the tracks of one run: rows of its manifest, of a backfill, or what failed before."""

    run: RunContext
    selected: int = 0
    """How many rows it is about."""
    passed_over: Counter[str] = field(default_factory=Counter)
    """Files of a listing that are no audio by their names, by the ends of these."""
    beyond_limit: int | None = None
    """How many selected rows lie behind the limit; None: there is none, or they were not counted."""
    unclear_training: int = 0
    """Tracks of which the manifest says nothing clear about AI training, though it says something."""
    lengths: LengthTally = field(default_factory=LengthTally)
    """Tracks that are not as long as the manifest says."""
    reached: int | None = None
    """The place in its backfill's order up to which the run is about it; None: the rest is among it."""
    to_do: int | None = None
    """How many of the tracks were not done yet when all were planned; None while there is more to plan."""
    is_stopped: bool = False
    """Whether no more rows are to be read: the run ends."""
    _over: Event = field(default_factory=Event)

    @property
    def is_over(self) -> bool:
        """Whether nothing more is planned."""
        return self._over.is_set()

    def wait(self) -> None:
        """Wait until nothing more is planned."""
        self._over.wait()

    def plan(self) -> None:
        """Put the tracks the run is about into the ledger; of a large catalogue those alone that are next in line."""
        selection = self.run.selection
        if selection.redrive is not None:
            self._redrive(selection.redrive)
        elif selection.backfill is not None:
            self._take_frozen(selection.backfill)
        elif (head := survey_head(self.run, self._surveyed)) is not None:
            self._plan_batch(head)
            self.selected = 0  # they are counted as the whole manifest is read
            return
        else:
            self._survey()
        self._end_planning()

    def plan_rest(self, on_planned: Callable[[], object]) -> None:
        """Put the whole catalogue into the ledger, what was next in line among it; calls back after each batch."""
        try:
            self._survey(on_planned)
            self._end_planning()
        finally:
            self._over.set()

    def _end_planning(self) -> None:
        counts = self.run.ledger.queries.counts(self.run.run_id)
        self.to_do = sum(count for state, count in counts.items() if state in TO_DO)
        self._over.set()

    def _redrive(self, codes: Collection[Code]) -> None:
        """Collect again for nothing what can be, and plan the rest again."""
        run = self.run
        limit = run.selection.limit
        wanted = replace(self._quarantined, is_redrive=True, codes=codes or None, limit=limit)
        self.selected = run.ledger.quarantine.collect_again(wanted)
        while some := run.ledger.redrive_queue.redrive(
            run.run_id,
            codes or None,
            limit=None if limit is None else limit - self.selected,
            kept_since=wanted.kept_since,
        ):
            self.selected += some
        reject_without_rights(run.ledger, run.run_id, run.settings.catalogue.rights_gate)

    def _take_frozen(self, name: str) -> None:
        """Plan what a backfill has left to do, as it was frozen."""
        run, waiting, after = self.run, 0, self.run.selection.behind
        if after < 0:  # what is published is planned by none of its runs, and counts as done all the same
            pages = run.ledger.backfills.pages(name)
            run.claim.require_all_here([row.track.track_id for row in rows] for rows in pages)
        while waiting < LEG_TRACKS and (rows := run.ledger.backfills.to_do(name, after, FROZEN_ROWS)):
            after = rows[-1][0]
            frozen = [row for _, row in rows]
            again = {row.track.track_id: row.last_attempt for row in frozen if row.last_attempt is not None}
            surveyed = SurveyedBatch(tuple(row.track for row in frozen), ())
            batch = self._plan_batch(without_forgotten(surveyed, self._batches.tombstones), again)
            if run.splits is not None:
                run.splits.notice(batch.tracks, len(batch.tracks))
            waiting += self._count_waiting(batch)
        self.reached = after if waiting >= LEG_TRACKS else None
        if run.splits is not None:
            run.splits.decide()
        reject_without_rights(run.ledger, run.run_id, run.settings.catalogue.rights_gate)
        self._end()

    def _count_waiting(self, batch: SurveyedBatch) -> int:
        settings, ids = self.run.settings, [track.track_id for track in batch.tracks]
        states = self.run.ledger.tracks.states(settings.provider.kind, settings.recipe.as_recipe(), ids)
        return sum(state in (State.PLANNED, State.HELD) for state in states.values())

    def _surveyed(self, source: ManifestSource) -> Iterator[SurveyedBatch]:
        """Give rows of the manifest, held against what the ledger knows of them."""
        run, settings = self.run, self.run.settings
        recipe = settings.recipe.as_recipe()
        return survey_catalogue(
            replace(source, carried=run.layout.carried),
            run.facts,
            self._find_done,
            recipe,
            partial(run.ledger.queries.measured, settings.provider.kind, recipe),
            tombstones=self._batches.tombstones,
            gate=settings.catalogue.rights_gate,
        )

    def _survey(self, on_planned: Callable[[], object] = lambda: None) -> None:
        """Plan the rows of the manifest."""
        run, within = self.run, 0
        for note in run.source.parsed.notes if run.source.parsed is not None else ():
            logger.warning(note)
        for surveyed in self._surveyed(run.source):
            batch = self._plan_batch(surveyed)
            within += surveyed.selected
            run.corrections.notice(batch.tracks)
            self.passed_over += batch.passed_over
            self.lengths.note(batch.misstated)
            self.unclear_training += count_unclear(batch.tracks)
            on_planned()
            if run.is_interrupted or self.is_stopped:
                break
        if run.splits is not None and not (run.is_interrupted or self.is_stopped):
            run.splits.decide()
        if run.source.limit is not None and not (run.is_interrupted or self.is_stopped):
            from stemline.manifest.scan import count_rows  # noqa: PLC0415 - it loads DuckDB

            self.beyond_limit = count_rows(run.source) - within
        if run.source.parsed is not None:
            run.source.parsed.close()
            # An engine that lives when Python ends complains of that.
            run.source = replace(run.source, parsed=None)
        self._end()

    def _plan_batch(self, surveyed: SurveyedBatch, again: dict[str, int] | None = None) -> SurveyedBatch:
        """Plan a batch, and give it without what was forgotten meanwhile."""
        run = self.run
        run.claim.require_here([track.track_id for track in surveyed.tracks])
        batch = self._batches.plan(surveyed, again=again)
        run.ledger.runs.reject(run.run_id, batch.rejects)
        self.selected += len(batch.tracks) + len(batch.rejects)
        return batch

    def _end(self) -> None:
        """Write down what was rejected, and collect for nothing what verifies badly and is still there."""
        run = self.run
        rejects = run.ledger.queries.rejected_rows(run.run_id)
        write_rejects(run.store, run.run_id, rejects, run.layout.source_root)
        run.ledger.quarantine.collect_again(self._quarantined)

    @cached_property
    def _batches(self) -> BatchPlanning:
        run = self.run
        return BatchPlanning(
            run.ledger, run.store, run.run_id, run.settings.failures.max_attempts, run.selection.again
        )

    @property
    def _quarantined(self) -> CollectAgain:
        """The run's quarantined tracks of which the provider still has what it made."""
        run = self.run
        since = outputs_kept_since(run.facts, run.ledger.clock())
        return CollectAgain(run.run_id, since, tuple(run.fences))

    def _find_done(self, track_ids: Sequence[str]) -> Collection[str]:
        settings, again = self.run.settings, self.run.selection.again
        found = self.run.ledger.tracks.states(settings.provider.kind, settings.recipe.as_recipe(), track_ids)
        # Where it is to be made again, its source may lie elsewhere by now.
        return {each for each, state in found.items() if state in DONE and each not in again}
