"""One run: everything it holds open, and its steps as verbs."""

from __future__ import annotations

import time
from collections.abc import Collection, Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from typing import Any

from stemline.collector import Relink, Target
from stemline.collector.batch import Collected
from stemline.dataset import Layout, write_rejects, write_run_summary
from stemline.dispatcher import Books, Dispatch, HeldKey, Orders, Outbox, dispatching
from stemline.errors import StemlineError
from stemline.ledger import Ledger
from stemline.plan import Prediction, predict, survey
from stemline.providers import load_provider
from stemline.publisher import Publisher
from stemline.records import Attempt, Code, CollectedTrack, Event, Failure, ReadyTrack, State
from stemline.report import write_report
from stemline.run.limits import LiveBudget
from stemline.run.selection import Result, Selection, source_of
from stemline.settings import ProviderFacts, Settings
from stemline.storage import Store
from stemline.webhooks import listening

DONE = frozenset({State.COLLECTED, State.PUBLISHED, State.READY, State.PROCESSING, State.SUBMITTING})
"""A track in one of these states needs no second look at its audio."""


@dataclass
class Run:
    """A run with everything open that it needs."""

    settings: Settings
    selection: Selection
    facts: ProviderFacts
    keys: Sequence[HeldKey]
    ledger: Ledger
    store: Store
    layout: Layout
    run_id: str
    started: float = field(default_factory=time.monotonic)
    dispatch: Dispatch | None = None
    is_interrupted: bool = False
    predicted: Prediction | None = None
    """What the run should cost and take, before its first request."""

    @property
    def target(self) -> Target:
        """Where collectors put what they collect."""
        dataset, execution = self.settings.dataset, self.settings.execution
        return Target(
            dataset.url, dataset.storage_options, audio=dataset.audio, concurrency=execution.workers
        )

    @property
    def publisher(self) -> Publisher:
        """What adds parts to the dataset."""
        return Publisher(self.ledger, self.store, self.layout)

    def heal(self) -> int:
        """Publish what an earlier run collected and did not publish; give how many tracks."""
        return self.publisher.heal(self.run_id, self.settings.provider.kind, self.settings.recipe.as_recipe())

    def plan(self) -> int:
        """Put the tracks the run is about into the ledger, and give how many that are."""
        selected = self._survey() if self.selection.redrive is None else self._redrive(self.selection.redrive)
        if not self.is_interrupted:
            self.predicted = predict(self.settings, self.facts, self.ledger, self.run_id)
        return selected

    def _redrive(self, codes: Collection[Code]) -> int:
        return self.ledger.redrive(self.run_id, codes or None, limit=self.selection.limit)

    def _survey(self) -> int:
        selected = 0
        source, recipe = source_of(self.settings, self.selection), self.settings.recipe.as_recipe()
        for batch in survey(source, self.facts, self._find_done, recipe):
            self.ledger.plan(self.run_id, batch.tracks, max_attempts=self.settings.failures.max_attempts)
            self.ledger.reject(self.run_id, batch.rejects)
            selected += len(batch.tracks) + len(batch.rejects)
            if self.is_interrupted:
                break
        write_rejects(self.store, self.run_id, self.ledger.rejected_rows(self.run_id))
        return selected

    @contextmanager
    def dispatching(self, selected: int) -> Iterator[Iterator[list[ReadyTrack]]]:
        """Submit planned tracks for the length of the block; give batches of ready ones."""
        execution = self.settings.execution
        outbox = Outbox(execution.batch_tracks, execution.batch_seconds, chutes=len(self.keys))
        provider = load_provider(self.facts)
        with ExitStack() as stack:
            hook_url = stack.enter_context(self._listening())
            orders = self._orders(selected, hook_url)
            self.dispatch = stack.enter_context(dispatching(self.ledger, provider, self.keys, orders, outbox))
            if self.is_interrupted:
                self.dispatch.interrupt()
            yield self.dispatch.batches()

    @contextmanager
    def _listening(self) -> Iterator[str | None]:
        """Have the provider call us, where the configuration says how; give the URL it calls."""
        if self.settings.webhooks is None:
            yield None
            return

        def wake(event: Event) -> None:
            if self.dispatch is not None:
                self.dispatch.hear(event)

        accesses = [key.access for key in self.keys]
        with listening(self.settings, accesses, self.ledger, wake) as hearing:
            yield hearing.url

    def settle(self, ready: Sequence[ReadyTrack], outcomes: Sequence[Collected]) -> None:
        """Book what collecting a batch came to, and publish what is good."""
        collected = [outcome.token for outcome in outcomes if isinstance(outcome, CollectedTrack)]
        relinks: list[Attempt] = []
        gone = [outcome.token for outcome in outcomes if isinstance(outcome, Relink) and outcome.is_gone]
        for track, outcome in zip(ready, outcomes, strict=True):
            if isinstance(outcome, CollectedTrack):
                self.ledger.record_collected(outcome)
            elif isinstance(outcome, Relink):
                relinks.append(track.attempt)
            elif isinstance(outcome, Failure):
                self.ledger.fail(outcome)
                if outcome.state is State.READY:
                    relinks.append(track.attempt)
        self.publisher.publish(self.run_id, collected)
        if self.dispatch is not None:
            self.dispatch.settle([track.attempt.token for track in ready], relinks, gone)

    def interrupt(self) -> None:
        """Submit nothing more, collect what is ready, then end with exit code 130."""
        self.is_interrupted = True
        if self.dispatch is not None:
            self.dispatch.interrupt()

    def finish(self) -> Result:
        """Give the run's result, and write its summary and report into the dataset."""
        reason = self.dispatch.reason if self.dispatch else None
        exit_code, summary = self._close(reason)
        write_run_summary(self.store, self.run_id, summary)
        write_report(self.ledger, self.store, self.run_id)
        return Result(exit_code, summary, str(reason) if reason else "")

    def abort(self, error: StemlineError) -> None:
        """End a run that an error cut off: the ledger says so, and the report too where it can be written."""
        # Whatever cut the run off, such as a full disk, may keep this from being written as well.
        with suppress(StemlineError):
            self._close(error)
            write_report(self.ledger, self.store, self.run_id)

    def _close(self, reason: StemlineError | None) -> tuple[int, dict[str, Any]]:
        """Hold what was not begun, and book the run as finished; give its exit code and summary."""
        if reason is not None or self.is_interrupted:
            sentence = reason.message if reason is not None else "The run was interrupted."
            self.ledger.hold(self.run_id, Code.RUN_STOPPED, sentence)
        counts = self.ledger.counts(self.run_id)
        exit_code = self._exit_code(counts, reason)
        summary = {
            "run_id": self.run_id,
            "tracks": {str(state): count for state, count in counts.items()},
            "codes": {str(code): count for code, count in self.ledger.codes(self.run_id).items()},
            "credits": self._credits(),
            "requests": self._requests(),
            "seconds": round(time.monotonic() - self.started, 3),
            "predicted": self.predicted.as_tree() if self.predicted else None,
            "dataset": self.store.url(),
            "report": self.store.url(f"_stemline/runs/{self.run_id}.html"),
        }
        budget = self.settings.budget.model_dump(include={"run", "day", "month"}, exclude_none=True)
        self.ledger.finish_run(self.run_id, exit_code, {**summary, "budget": budget})
        return exit_code, summary

    def _find_done(self, track_ids: Sequence[str]) -> Collection[str]:
        found = self.ledger.track_status(self.run_id, track_ids)
        return {track_id for track_id, status in found.items() if status.state in DONE}

    def _orders(self, selected: int, hook_url: str | None) -> Orders:
        settings = self.settings
        return Orders(
            run_id=self.run_id,
            kind=settings.provider.kind,
            recipe=settings.recipe.as_recipe(),
            read_limits=LiveBudget(settings),
            on_limit=settings.budget.on_limit,
            max_in_flight=settings.provider.max_in_flight,
            requests_per_minute=settings.provider.requests_per_minute or self.facts.requests_per_minute,
            max_attempts=settings.failures.max_attempts,
            tolerate=settings.failures.tolerate,
            selected=selected,
            send=settings.catalogue.send,
            hook_url=hook_url,
        )

    def _exit_code(self, counts: dict[State, int], reason: StemlineError | None) -> int:
        if self.is_interrupted and reason is None:
            return 130
        # One of several keys may have stopped early, and the others have done its work.
        if sum(counts.values()) == counts.get(State.PUBLISHED, 0) and len(self.keys) > 1:
            return 0
        if reason is not None:
            return reason.exit_code
        if counts.get(State.HELD):
            return 4
        return 0 if sum(counts.values()) == counts.get(State.PUBLISHED, 0) else 3

    def _credits(self) -> dict[str, int | None]:
        spent = self.ledger.credits(self.run_id).run
        books = self.dispatch.books if self.dispatch else Books()
        return {
            "reserved": spent.reserved,
            "charged": spent.charged,
            "balance": books.balance,
            "drift": books.drift,
        }

    def _requests(self) -> dict[str, float | int | None]:
        floors = self.dispatch.floors if self.dispatch else []
        sent = sum(floor.client.traffic.sent for floor in floors)
        done = sum(floor.finished for floor in floors)
        return {
            "sent": sent,
            "rejected": sum(floor.client.traffic.rejected for floor in floors),
            "per_track": round(sent / done, 3) if done else None,
        }
