"""One run: everything it holds open, and its steps as verbs."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext, suppress
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any

from stemline.collector import CollectResult, Relink
from stemline.dataset.metadata import write_run_summary
from stemline.dataset.paths import rejects_key
from stemline.errors import BackfillStopped, KeyWanted, OrderChanged, StemlineError, StopRun
from stemline.ledger import BackfillState
from stemline.manifest.passed_over import passed_over_tree
from stemline.plan.capacity import runs_own_service
from stemline.plan.prediction import Prediction, predict_run
from stemline.records import Code, ReadyTrack, State
from stemline.report import PREVIEW_SECONDS, write_report
from stemline.run.booking import Booking
from stemline.run.collected_batches import CollectedBatches
from stemline.run.compaction import compact_finished
from stemline.run.context import RunContext
from stemline.run.lane import LaneWatch, leave_standing, require_backfill
from stemline.run.lease import free_keys_of_the_dead
from stemline.run.local_cleaning import let_go_of_collected
from stemline.run.planning import RunPlanning
from stemline.run.planning_meanwhile import planning_meanwhile
from stemline.run.rejected_rows import rejected_rows_tree
from stemline.run.selection import Result, target_of
from stemline.run.standing_rejects import rejected_since
from stemline.run.summary import (
    MixTally,
    summarize_credits,
    summarize_overcharge,
    summarize_requests,
    summarize_tracks,
    summarize_windows,
)
from stemline.settings import outputs_kept_since
from stemline.telemetry.collector_export import traced

if TYPE_CHECKING:
    from stemline.dispatcher import DispatcherGroup

INTERRUPTED = (
    "The run was interrupted. Run again: it goes on from here, and collects what is with the provider."
)
OTHERS_SECONDS = 0.5
"""How often a run that has done its part looks whether another one has done its own."""


@dataclass
class Run(RunContext):
    """A run with everything open that it needs."""

    started: float = field(default_factory=time.monotonic)
    dispatchers: DispatcherGroup | None = None
    """What submits and polls, from `dispatching` on; None where there was nothing to do."""
    predicted: Prediction | None = None
    """What the run should cost and take, before its first request."""
    mixes: MixTally = field(default_factory=MixTally)

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

    @cached_property
    def planning(self) -> RunPlanning:
        """What puts the run's tracks into the ledger."""
        return RunPlanning(self)

    def plan(self) -> int | None:
        """Put the tracks the run is about into the ledger, and give how many that are.

        None where only those that are next in line were: `collecting` plans the others meanwhile.
        """
        self.planning.plan()
        if not self.planning.is_over:
            return None
        self._predict()
        self.publish_set_aside()  # with the cells that were corrected in the manifest just read
        return self.planning.selected

    def _predict(self) -> None:
        if not self.is_interrupted:
            self.predicted = predict_run(self.settings, self.facts, self.ledger, self.run_id)

    @cached_property
    def collected(self) -> CollectedBatches:
        """What is collected in this run, batch by batch."""
        execution = self.settings.execution
        return CollectedBatches(self.book, execution.batch_tracks, execution.batch_seconds)

    @contextmanager
    def collecting(self) -> Iterator[CollectedBatches]:
        """Submit planned tracks, and collect them as they become ready, for the length of the block.

        What is not planned yet is planned meanwhile.
        """
        if self.planning.is_over and not self._has_work():
            yield self.collected
            return
        from stemline.collector.pool import collecting  # noqa: PLC0415 - not for nothing to do
        from stemline.collector.runners.opening import opening_runner  # noqa: PLC0415
        from stemline.run.dispatching import DispatcherSetup  # noqa: PLC0415

        lane = self._lane()
        setup = DispatcherSetup(
            self.settings,
            self.facts,
            self.ledger,
            self.run_id,
            self.fences,
            lambda: self.planning.to_do,
            lane,
            self.requests.record,
        )
        execution = self.settings.execution
        with (
            opening_runner(
                execution.runner, execution.address, target_of(self.settings)
            ) as open_runner,  # before anything is spent
            setup.start() as self.dispatchers,
            lane or nullcontext(),
            open_runner() as runner,
        ):
            with self._planning_the_rest(), collecting(self.dispatchers.ready_tracks(), runner) as pool:
                self.collected.begin(pool, self.dispatchers.abandon)
                if self.is_interrupted:
                    self.interrupt()
                yield self.collected
            self.dispatchers.settle()
        let_go_of_collected(self.settings, self.facts, self.ledger)

    @contextmanager
    def _planning_the_rest(self) -> Iterator[None]:
        """Plan what is not planned yet for the length of the block; the first batch is published once that is done."""
        if self.planning.is_over or self.dispatchers is None:
            yield
            return
        with planning_meanwhile(self.planning, self.dispatchers.wake, self._predict, self._send_no_more):
            yield
        self.publish_set_aside()

    def _send_no_more(self) -> None:
        """Submit nothing more, and collect what is ready for a while."""
        if self.dispatchers is not None:
            self.dispatchers.interrupt()
            self.collected.interrupt()

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
        kind, kept_since = self.settings.provider.kind, outputs_kept_since(self.facts, self.ledger.clock())
        return self.ledger.recovery.has_any(kind) or bool(self.ledger.lost_jobs.failed(kind, kept_since))

    def book(self, ready: ReadyTrack, outcome: CollectResult) -> str | None:
        """Book what collecting a track came to; give its attempt's token when it is to be published."""
        attempt = ready.attempt
        state = Booking(self.ledger, self.publisher, self.mixes, self.planning.lengths).book(ready, outcome)
        needs_links = isinstance(outcome, Relink) or state is State.READY
        if self.dispatchers is not None:
            gone = [attempt.token] if isinstance(outcome, Relink) and outcome.is_gone else []
            self.dispatchers.acknowledge([attempt.token], [attempt] if needs_links else [], gone)
        return attempt.token if state is State.COLLECTED else None

    def publish(self, tokens: Sequence[str]) -> int:
        """Publish collected attempts as one batch, and what was made again once it is enough; give how many tracks."""
        if not tokens:
            return 0
        self.planning.wait()  # until then no split of theirs is decided
        numbered: dict[str, str | int] = {
            "stemline.run.id": self.run_id,
            "stemline.batch.number": self.collected.number,
        }
        with traced("stemline.batch", numbered, self.collected.began_ns) as span:
            published = self.publisher.publish(self.run_id, tokens)
            span.add({"stemline.batch.tracks": len(tokens), "stemline.batch.published": published})
            return published + self.remakes.add(self.run_id, len(tokens) - published)

    def interrupt(self) -> None:
        """Submit nothing more, collect what is ready for a while, then end with exit code 130."""
        self.is_interrupted = True
        self._send_no_more()

    def finish(self) -> Result:
        """Give the run's result, and write its summary and report into the dataset."""
        reason = self.dispatchers.reason if self.dispatchers else None
        if isinstance(reason, KeyWanted):
            self._let_keys_go()
        elif reason is None:
            self._wait_for_others()
        if not self.is_interrupted:
            self.remakes.apply(self.run_id)
        corrected = 0 if self.is_interrupted else self.corrections.apply(self.run_id)
        exit_code, summary = self._close(reason)
        summary |= {"corrected": corrected, **(self.splits.book.as_tree() if self.splits else {})}
        if self.settings.dataset.compact == "auto" and not (
            self.is_interrupted or isinstance(reason, KeyWanted)
        ):
            summary["compacted"] = compact_finished(self.ledger, self.store, self.claim.known.dataset_id)
        write_run_summary(self.store, self.run_id, summary)
        write_report(
            self.ledger,
            self.store,
            self.run_id,
            self.layout.source_root,
            preview_seconds=0.0 if self.is_interrupted else PREVIEW_SECONDS,  # who interrupts does not wait
        )
        with suppress(StemlineError):  # what fails is left to the next run
            self.ledger.retention.forget(self.run_id, self.settings.ledger.keep_events)
        late = self.dispatchers.late_sentence if self.dispatchers else ""
        is_part_done = not self.is_interrupted and (reason is None or exit_code == 0)
        reached = self.planning.reached if is_part_done else None
        goes_on = reached is not None or _goes_on(reason)
        told = summary["reason"] or late or self.remakes.problem or self.corrections.problem
        return Result(exit_code, summary, self.redactor(told), goes_on, reached)

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
            write_report(self.ledger, self.store, self.run_id, self.layout.source_root, preview_seconds=0.0)

    def _close(self, reason: StemlineError | None) -> tuple[int, dict[str, Any]]:
        """Hold what was not begun, and book the run as finished; give its exit code and summary."""
        if reason is not None or self.is_interrupted:
            sentence = self.redactor(reason.message) if reason is not None else "The run was interrupted."
            is_further = any(each.held for each in (self.dispatchers.sessions if self.dispatchers else ()))
            self.ledger.tracks.hold(self.run_id, Code.RUN_STOPPED, sentence, is_further=is_further)
        self.ledger.remakes.end_in_vain(self.run_id)
        if self.selection.backfill is not None:
            backfill = require_backfill(self.ledger, self.selection.backfill)
            if backfill.state is BackfillState.CANCELLED:
                leave_standing(self.ledger, backfill, self.run_id)
        counts = self.ledger.queries.counts(self.run_id)
        exit_code = self._exit_code(counts, reason)
        summary = self._summarize(counts, reason)
        budget = self.settings.budget.model_dump(include={"run", "day", "month"}, exclude_none=True)
        self.ledger.runs.finish(self.run_id, exit_code, {**summary, "budget": budget})
        by_state = {f"stemline.track.count.{state}": count for state, count in counts.items()}
        self.span.add({"stemline.run.exit_code": exit_code, **by_state})
        return exit_code, summary

    def _summarize(self, counts: Mapping[State, int], reason: StemlineError | None) -> dict[str, Any]:
        """Give the object of `run --json`; `counts` are the run's tracks by state."""
        return {
            "run_id": self.run_id,
            **summarize_tracks(self.ledger, self.run_id, counts),
            **self._rejected_rows(),
            **self.mixes.as_tree(self.settings.dataset.mix, self.layout.source_root),
            **self.planning.lengths.as_tree(),
            **self.corrections.relocations.as_tree(),
            **passed_over_tree(self.planning.passed_over),
            **({"beyond_limit": self.planning.beyond_limit} if self.planning.beyond_limit else {}),
            **(
                {"doubtful": {"ai_training": self.planning.unclear_training}}
                if self.planning.unclear_training
                else {}
            ),
            "credits": self._credits(),
            **summarize_overcharge(self.dispatchers),
            "windows": summarize_windows(self.ledger, self.run_id, self.settings.budget),
            "requests": summarize_requests(self.dispatchers),
            "seconds": round(time.monotonic() - self.started, 3),
            "predicted": self.predicted.as_tree() if self.predicted else None,
            "reason": self.redactor(str(reason)) if reason else INTERRUPTED if self.is_interrupted else None,
            "dataset": self.store.url(),
            "report": self.store.url(f"_stemline/runs/{self.run_id}.html"),
        }

    def _credits(self) -> dict[str, int | None]:
        told = summarize_credits(self.ledger, self.run_id, self.fences, self.dispatchers)
        # The credits of a service of one's own are no money, and never run out.
        return {**told, "balance": None} if runs_own_service(self.settings, self.facts) else told

    def _rejected_rows(self) -> dict[str, Any]:
        url = self.store.url(rejects_key(self.run_id))
        tree = rejected_rows_tree(self.ledger, self.run_id, self.layout.source_root, url)
        if tree and self.selection.reads_manifest and (since := rejected_since(self.ledger, self.run_id)):
            tree["rejects"]["since"] = since
        return tree

    def _exit_code(self, counts: dict[State, int], reason: StemlineError | None) -> int:
        if self.is_interrupted and reason is None:
            return 130
        is_all_published = self.planning.selected <= sum(counts.values()) == counts.get(State.PUBLISHED, 0)
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
