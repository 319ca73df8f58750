"""One run: everything it holds open, and its steps as verbs."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext, suppress
from dataclasses import dataclass, field, replace
from functools import cached_property, partial
from typing import TYPE_CHECKING, Any

from stemline.collector import CollectResult, Relink
from stemline.dataset.layout import DatasetLayout
from stemline.dataset.metadata import write_rejects, write_run_summary
from stemline.errors import BackfillStopped, KeyWanted, OrderChanged, StemlineError, StopRun
from stemline.ledger import CollectAgain, Ledger
from stemline.manifest import ManifestSource
from stemline.ownership import DatasetClaim
from stemline.plan.metadata_check import count_unclear
from stemline.plan.prediction import Prediction, predict_run
from stemline.plan.survey import SurveyedBatch, survey_catalogue, without_forgotten
from stemline.publisher import Publisher
from stemline.records import Code, ReadyTrack, State
from stemline.report import write_report
from stemline.run.batch_planning import BatchPlanning
from stemline.run.booking import Booking
from stemline.run.collected_batches import CollectedBatches
from stemline.run.compaction import compact_finished
from stemline.run.correction import CorrectionQueue
from stemline.run.lane import LaneWatch
from stemline.run.lease import free_keys_of_the_dead
from stemline.run.required_rights import reject_without_rights
from stemline.run.selection import Result, Selection, target_of
from stemline.run.splitting import SplitKeeping
from stemline.run.summary import MixTally, summarize_credits, summarize_requests, summarize_tracks
from stemline.settings import ProviderFacts, Settings, outputs_kept_since
from stemline.storage import Store

if TYPE_CHECKING:
    from stemline.dispatcher import DispatcherGroup

DONE = frozenset({State.COLLECTED, State.PUBLISHED, State.READY, State.PROCESSING, State.SUBMITTING})
"""The audio of a track in one of these states need not be probed again."""
INTERRUPTED = (
    "The run was interrupted. Run again: it goes on from here, and collects what is with the provider."
)
FROZEN_ROWS = 5_000
"""So many rows of a backfill are planned at a time."""
LEG_TRACKS = 20_000
"""One run is about some more waiting tracks of a backfill than these, the work of half a day: each run plans and ends
all that it is about, and one that gives its key away each night would do that for the whole backfill each night."""
OTHERS_SECONDS = 0.5
"""How often a run that has done its part looks whether another one has done its own."""


@dataclass
class Run:
    """A run with everything open that it needs."""

    settings: Settings
    selection: Selection
    facts: ProviderFacts
    ledger: Ledger
    store: Store
    layout: DatasetLayout
    run_id: str
    fences: Mapping[str, int]
    """The fence of each API key's lease, by the key's fingerprint."""
    claim: DatasetClaim
    source: ManifestSource
    """The selected part of the catalogue, parsed already where the run reads it."""
    splits: SplitKeeping | None = None
    """What puts tracks into splits; None: the manifest alone does."""
    started: float = field(default_factory=time.monotonic)
    dispatchers: DispatcherGroup | None = None
    """What submits and polls, from `dispatching` on; None where there was nothing to do."""
    is_interrupted: bool = False
    predicted: Prediction | None = None
    """What the run should cost and take, before its first request."""
    selected: int = 0
    """How many manifest rows it is about."""
    mixes: MixTally = field(default_factory=MixTally)
    passed_over: Counter[str] = field(default_factory=Counter)
    """Files of a listing that are no audio by their names, by the ends of these."""
    reached: int | None = None
    """The place in its backfill's order up to which the run is about it; None: the rest is among it."""
    unclear_training: int = 0
    """Tracks of which the manifest says nothing clear about AI training, though it says something."""

    @cached_property
    def corrections(self) -> CorrectionQueue:
        """Published tracks of which the manifest says something else by now."""
        key = (self.settings.provider.kind, self.settings.recipe.as_recipe())
        return CorrectionQueue(self.ledger, self.store, self.layout, *key, splits=self.splits)

    @property
    def publisher(self) -> Publisher:
        """What adds parts to the dataset."""
        return Publisher(self.ledger, self.store, self.layout, self.splits.book if self.splits else None)

    def publish_leftovers(self) -> int:
        """Publish what an earlier run collected and did not publish; give how many tracks."""
        held = {lease.key_id for lease in self.ledger.leases.held()}
        return self.publisher.publish_leftovers(
            self.run_id,
            self.settings.provider.kind,
            self.settings.recipe.as_recipe(),
            spared=held - self.fences.keys(),
        )

    def publish_set_aside(self) -> int:
        """Publish what could not stand in the tables, as the manifest now has it; give how many tracks."""
        return self.publisher.publish_set_aside(
            self.run_id, self.settings.provider.kind, self.settings.recipe.as_recipe()
        )

    def plan(self) -> int:
        """Put the tracks the run is about into the ledger, and give how many that are."""
        selected = self._select()
        self.selected = selected
        if not self.is_interrupted:
            self.predicted = predict_run(self.settings, self.facts, self.ledger, self.run_id)
        return selected

    def _select(self) -> int:
        if self.selection.redrive is not None:
            return self._redrive(self.selection.redrive)
        if self.selection.backfill is not None:
            return self._take_frozen(self.selection.backfill)
        return self._survey()

    def _take_frozen(self, name: str) -> int:
        """Plan what a backfill has left to do, as it was frozen; give how many tracks."""
        planning = BatchPlanning(self.ledger, self.store, self.run_id, self.settings.failures.max_attempts)
        selected, waiting, after = 0, 0, self.selection.behind
        while waiting < LEG_TRACKS and (rows := self.ledger.backfills.to_do(name, after, FROZEN_ROWS)):
            after = rows[-1][0]
            tracks = tuple(row.track for _, row in rows)
            self.claim.require_here([track.track_id for track in tracks])
            again = {row.track.track_id: row.last_attempt for _, row in rows if row.last_attempt is not None}
            batch = planning.plan(
                without_forgotten(SurveyedBatch(tracks, ()), planning.tombstones), again=again
            )
            self.ledger.runs.reject(self.run_id, batch.rejects)
            if self.splits is not None:
                self.splits.notice(batch.tracks, len(batch.tracks))
            selected += len(batch.tracks) + len(batch.rejects)
            waiting += self._count_waiting(batch)
        self.reached = after if waiting >= LEG_TRACKS else None
        if self.splits is not None:
            self.splits.decide()
        reject_without_rights(self.ledger, self.run_id, self.settings.catalogue.rights_gate)
        self._write_rejects()
        self.ledger.quarantine.collect_again(self._quarantined)
        return selected

    def _count_waiting(self, batch: SurveyedBatch) -> int:
        ids, recipe = [track.track_id for track in batch.tracks], self.settings.recipe.as_recipe()
        states = self.ledger.tracks.states(self.settings.provider.kind, recipe, ids)
        return sum(state in (State.PLANNED, State.HELD) for state in states.values())

    def _write_rejects(self) -> None:
        rejects = self.ledger.queries.rejected_rows(self.run_id)
        write_rejects(self.store, self.run_id, rejects, self.layout.source_root)

    def _redrive(self, codes: Collection[Code]) -> int:
        """Collect again for nothing what can be, and plan the rest again; give how many tracks."""
        limit = self.selection.limit
        wanted = replace(self._quarantined, is_redrive=True, codes=codes or None, limit=limit)
        redriven = self.ledger.quarantine.collect_again(wanted)
        while some := self.ledger.redrive_queue.redrive(
            self.run_id,
            codes or None,
            limit=None if limit is None else limit - redriven,
            kept_since=wanted.kept_since,
        ):
            redriven += some
        reject_without_rights(self.ledger, self.run_id, self.settings.catalogue.rights_gate)
        return redriven

    @property
    def _quarantined(self) -> CollectAgain:
        """The run's quarantined tracks of which the provider still has what it made."""
        since = outputs_kept_since(self.facts, self.ledger.clock())
        return CollectAgain(self.run_id, since, tuple(self.fences))

    def _survey(self) -> int:
        selected = 0
        source = replace(self.source, carried=self.layout.carried)
        recipe = self.settings.recipe.as_recipe()
        find_measured = partial(self.ledger.queries.measured, self.settings.provider.kind, recipe)
        planning = BatchPlanning(self.ledger, self.store, self.run_id, self.settings.failures.max_attempts)
        for surveyed in survey_catalogue(
            source,
            self.facts,
            self._find_done,
            recipe,
            find_measured,
            tombstones=planning.tombstones,
            gate=self.settings.catalogue.rights_gate,
        ):
            self.claim.require_here([track.track_id for track in surveyed.tracks])
            batch = planning.plan(surveyed)
            self.corrections.notice(batch.tracks)
            self.ledger.runs.reject(self.run_id, batch.rejects)
            self.passed_over += batch.passed_over
            self.unclear_training += count_unclear(batch.tracks)
            selected += len(batch.tracks) + len(batch.rejects)
            if self.is_interrupted:
                break
        if self.splits is not None and not self.is_interrupted:
            self.splits.decide()
        if self.source.parsed is not None:
            self.source.parsed.close()
        self._write_rejects()
        self.ledger.quarantine.collect_again(self._quarantined)
        return selected

    @cached_property
    def collected(self) -> CollectedBatches:
        """What is collected in this run, batch by batch."""
        execution = self.settings.execution
        return CollectedBatches(self.book, execution.batch_tracks, execution.batch_seconds)

    @contextmanager
    def collecting(self) -> Iterator[CollectedBatches]:
        """Submit planned tracks, and collect them as they become ready, for the length of the block."""
        if not self._has_work():
            yield self.collected
            return
        from stemline.collector.pool import collecting  # noqa: PLC0415 - not for nothing to do
        from stemline.collector.threads import thread_runner  # noqa: PLC0415
        from stemline.run.dispatching import DispatcherSetup  # noqa: PLC0415

        lane = self._lane()
        setup = DispatcherSetup(self.settings, self.facts, self.ledger, self.run_id, self.fences, lane)
        with (
            setup.start() as self.dispatchers,
            lane or nullcontext(),
            thread_runner(target_of(self.settings)) as runner,
        ):
            with collecting(self.dispatchers.ready_tracks(), runner) as pool:
                self.collected.begin(pool, self.dispatchers.abandon)
                if self.is_interrupted:
                    self.interrupt()
                yield self.collected
            self.dispatchers.settle()

    def _lane(self) -> LaneWatch | None:
        """Give what looks after the backfill that the run is part of."""
        name = self.selection.backfill
        return None if name is None else LaneWatch(self.ledger, name, self.fences, self._stop_for)

    def _stop_for(self, reason: StopRun) -> None:
        """Submit nothing more; for a run that wants the key, leave what is with the provider to it as well."""
        is_wanted = isinstance(reason, KeyWanted)
        if self.dispatchers is not None:
            self.dispatchers.stop(reason, is_abandoned=is_wanted)
        if is_wanted:
            self.collected.interrupt()

    def _has_work(self) -> bool:
        """Tell whether a request may have to be sent: for a planned track, or for what an earlier run left."""
        if self.settings.webhooks is not None or self.ledger.tracks.next_planned(self.run_id, 1):
            return True
        return self.ledger.recovery.has_any(self.settings.provider.kind)

    def book(self, ready: ReadyTrack, outcome: CollectResult) -> str | None:
        """Book what collecting a track came to; give its attempt's token when it is to be published."""
        attempt = ready.attempt
        state = Booking(self.ledger, self.publisher, self.mixes).book(ready, outcome)
        needs_links = isinstance(outcome, Relink) or state is State.READY
        if self.dispatchers is not None:
            gone = [attempt.token] if isinstance(outcome, Relink) and outcome.is_gone else []
            self.dispatchers.acknowledge([attempt.token], [attempt] if needs_links else [], gone)
        return attempt.token if state is State.COLLECTED else None

    def publish(self, tokens: Sequence[str]) -> int:
        """Publish collected attempts as one batch; give how many tracks."""
        return self.publisher.publish(self.run_id, tokens) if tokens else 0

    def interrupt(self) -> None:
        """Submit nothing more, collect what is ready for a while, then end with exit code 130."""
        self.is_interrupted = True
        if self.dispatchers is not None:
            self.dispatchers.interrupt()
            self.collected.interrupt()

    def finish(self) -> Result:
        """Give the run's result, and write its summary and report into the dataset."""
        reason = self.dispatchers.reason if self.dispatchers else None
        if isinstance(reason, KeyWanted):
            self._let_keys_go()
        elif reason is None:
            self._wait_for_others()
        corrected = 0 if self.is_interrupted else self.corrections.apply(self.run_id)
        exit_code, summary = self._close(reason)
        summary |= {"corrected": corrected, **(self.splits.book.as_tree() if self.splits else {})}
        if self.settings.dataset.compact == "auto" and not (
            self.is_interrupted or isinstance(reason, KeyWanted)
        ):
            summary["compacted"] = compact_finished(self.ledger, self.store, self.claim.known.dataset_id)
        write_run_summary(self.store, self.run_id, summary)
        write_report(self.ledger, self.store, self.run_id, self.layout.source_root)
        with suppress(StemlineError):  # what fails is left to the next run
            self.ledger.retention.forget(self.run_id, self.settings.ledger.keep_events)
        late = self.dispatchers.late_sentence if self.dispatchers else ""
        is_part_done = not self.is_interrupted and (reason is None or exit_code == 0)
        reached = self.reached if is_part_done else None
        goes_on = reached is not None or _goes_on(reason)
        return Result(
            exit_code, summary, summary["reason"] or late or self.corrections.problem, goes_on, reached
        )

    def _wait_for_others(self) -> None:
        """Wait for what other runs are at of this one's tracks; its keys are free meanwhile, nothing is paid any more.

        Whoever waits holds no key, so that two runs never wait for each other.
        """
        if not self.ledger.recovery.under_way_elsewhere(self.run_id, self.fences):
            return
        self._let_keys_go()
        while not self.is_interrupted and self.ledger.recovery.under_way_elsewhere(self.run_id, self.fences):
            time.sleep(OTHERS_SECONDS)
            free_keys_of_the_dead(self.ledger)

    def _let_keys_go(self) -> None:
        for key_id, fence in self.fences.items():
            self.ledger.leases.release(key_id, fence)

    def abort(self, error: StemlineError) -> None:
        """End a run that an error cut off: the ledger says so, and the report too where it can be written."""
        # Whatever cut the run off, such as a full disk, may keep this from being written as well.
        with suppress(StemlineError):
            self._close(error)
            write_report(self.ledger, self.store, self.run_id, self.layout.source_root)

    def _close(self, reason: StemlineError | None) -> tuple[int, dict[str, Any]]:
        """Hold what was not begun, and book the run as finished; give its exit code and summary."""
        if reason is not None or self.is_interrupted:
            sentence = reason.message if reason is not None else "The run was interrupted."
            is_further = any(each.held for each in (self.dispatchers.sessions if self.dispatchers else ()))
            self.ledger.tracks.hold(self.run_id, Code.RUN_STOPPED, sentence, is_further=is_further)
        counts = self.ledger.queries.counts(self.run_id)
        exit_code = self._exit_code(counts, reason)
        summary = self._summarize(counts, reason)
        budget = self.settings.budget.model_dump(include={"run", "day", "month"}, exclude_none=True)
        self.ledger.runs.finish(self.run_id, exit_code, {**summary, "budget": budget})
        return exit_code, summary

    def _summarize(self, counts: Mapping[State, int], reason: StemlineError | None) -> dict[str, Any]:
        """Give the object of `run --json`; `counts` are the run's tracks by state."""
        return {
            "run_id": self.run_id,
            **summarize_tracks(self.ledger, self.run_id, counts),
            **self.mixes.as_tree(self.settings.dataset.mix, self.layout.source_root),
            "passed_over": self.passed_over.total(),
            **({"doubtful": {"ai_training": self.unclear_training}} if self.unclear_training else {}),
            "credits": summarize_credits(self.ledger, self.run_id, self.fences, self.dispatchers),
            "requests": summarize_requests(self.dispatchers),
            "seconds": round(time.monotonic() - self.started, 3),
            "predicted": self.predicted.as_tree() if self.predicted else None,
            "reason": str(reason) if reason is not None else INTERRUPTED if self.is_interrupted else None,
            "dataset": self.store.url(),
            "report": self.store.url(f"_stemline/runs/{self.run_id}.html"),
        }

    def _find_done(self, track_ids: Sequence[str]) -> Collection[str]:
        found = self.ledger.tracks.states(self.corrections.provider, self.corrections.recipe, track_ids)
        return {track_id for track_id, state in found.items() if state in DONE}

    def _exit_code(self, counts: dict[State, int], reason: StemlineError | None) -> int:
        if self.is_interrupted and reason is None:
            return 130
        is_all_published = self.selected <= sum(counts.values()) == counts.get(State.PUBLISHED, 0)
        # One of several keys may have stopped early, and the others have done its work.
        if is_all_published and len(self.fences) > 1:
            return 0
        if reason is not None:
            return reason.exit_code
        if counts.get(State.HELD):
            return 4
        return 0 if is_all_published else 3


def _goes_on(reason: StopRun | None) -> bool:
    """Tell whether a backfill goes on by itself after a run that was stopped for this reason."""
    is_paused = isinstance(reason, BackfillStopped) and reason.is_paused
    return is_paused or isinstance(reason, KeyWanted | OrderChanged)
