"""One run: everything it holds open, its steps as verbs, and the result it ends with."""

from __future__ import annotations

import hashlib
import os
import socket
import time
from collections.abc import Collection, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

from stemline.budget import Limits
from stemline.client import Access
from stemline.collector import Relink, Target
from stemline.collector.batch import Collected
from stemline.dataset import Layout, claim_layout, write_rejects, write_run_summary
from stemline.dispatcher import Dispatch, Orders, Outbox, dispatching
from stemline.errors import ConfigError, LeaseHeld, StopRun
from stemline.ledger import Ledger, open_ledger
from stemline.manifest import Source, columns
from stemline.plan import check_recipe, survey
from stemline.providers import load_provider
from stemline.publisher import Publisher
from stemline.records import Attempt, Code, CollectedTrack, Failure, ReadyTrack, State
from stemline.report import write_report
from stemline.service import DEFAULT_WORKERS, Options
from stemline.service.process import running_service
from stemline.settings import ProviderFacts, Settings, load_facts
from stemline.storage import Store, open_store

LEASE_SECONDS = 60.0
EMBEDDED_RETENTION_SECONDS = 86_400.0
DONE = frozenset({State.COLLECTED, State.PUBLISHED, State.READY, State.PROCESSING, State.SUBMITTING})
"""A track in one of these states needs no second look at its audio."""
BROKEN = frozenset({State.REJECTED, State.FAILED, State.UNKNOWN, State.QUARANTINED, State.EXPIRED})


@dataclass(frozen=True, slots=True)
class Selection:
    """Which rows of the manifest a run is about, besides what the configuration says."""

    where: str | None = None
    limit: int | None = None


@dataclass(frozen=True, slots=True)
class Result:
    """What a run ends with: the contract's final JSON object, and the exit code."""

    exit_code: int
    summary: dict[str, Any]
    reason: str = ""
    """Why it stopped early, as a sentence with the fix; empty when it did not."""


class Observer(Protocol):
    """Somebody who watches a run, such as the terminal."""

    def opened(self, run: Run) -> None:
        """Take note that a run begins."""

    def closed(self, run: Run) -> None:
        """Take note that it has ended."""


_observer: ContextVar[Observer | None] = ContextVar("observer", default=None)


@contextmanager
def observed_by(observer: Observer) -> Iterator[None]:
    """Have an observer told of the runs begun inside the `with` block."""
    token = _observer.set(observer)
    try:
        yield
    finally:
        _observer.reset(token)


@dataclass
class Run:
    """A run with everything open that it needs."""

    settings: Settings
    selection: Selection
    facts: ProviderFacts
    access: Access
    ledger: Ledger
    store: Store
    layout: Layout
    run_id: str
    fence: int
    started: float = field(default_factory=time.monotonic)
    dispatch: Dispatch | None = None
    is_interrupted: bool = False

    @property
    def key_id(self) -> str:
        """The API key's fingerprint: the key itself goes nowhere."""
        return fingerprint(self.access.api_key)

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
        """Survey the catalogue and put it into the ledger; give how many tracks the run is about."""
        selected = 0
        for batch in survey(source_of(self.settings, self.selection), self.facts, self._find_done):
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
        outbox = Outbox(execution.batch_tracks, execution.batch_seconds)
        provider = load_provider(self.facts)
        with dispatching(self.ledger, provider, self.access, self._orders(selected), outbox) as dispatch:
            self.dispatch = dispatch
            if self.is_interrupted:
                dispatch.interrupt()
            yield dispatch.batches()

    def settle(self, ready: Sequence[ReadyTrack], outcomes: Sequence[Collected]) -> None:
        """Book what collecting a batch came to, and publish what is good."""
        collected = [outcome.token for outcome in outcomes if isinstance(outcome, CollectedTrack)]
        relinks: list[Attempt] = []
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
            self.dispatch.settle([track.attempt.token for track in ready], relinks)

    def interrupt(self) -> None:
        """Submit nothing more, collect what is ready, then end with exit code 130."""
        self.is_interrupted = True
        if self.dispatch is not None:
            self.dispatch.interrupt()

    def finish(self) -> Result:
        """Give the run's result, and write its summary and report into the dataset."""
        reason = self.dispatch.reason if self.dispatch else None
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
            "dataset": self.store.url(),
            "report": self.store.url(f"_stemline/runs/{self.run_id}.html"),
        }
        budget = self.settings.budget.model_dump(include={"run", "day", "month"}, exclude_none=True)
        self.ledger.finish_run(self.run_id, exit_code, {**summary, "budget": budget})
        write_run_summary(self.store, self.run_id, summary)
        write_report(self.ledger, self.store, self.run_id)
        return Result(exit_code, summary, str(reason) if reason else "")

    def _find_done(self, track_ids: Sequence[str]) -> Collection[str]:
        found = self.ledger.track_status(self.run_id, track_ids)
        return {track_id for track_id, status in found.items() if status.state in DONE}

    def _orders(self, selected: int) -> Orders:
        settings, budget = self.settings, self.settings.budget
        return Orders(
            run_id=self.run_id,
            kind=settings.provider.kind,
            recipe=settings.recipe.as_recipe(),
            key_id=self.key_id,
            fence=self.fence,
            limits=Limits(budget.run, budget.day, budget.month, budget.floor),
            on_limit=budget.on_limit,
            max_in_flight=settings.provider.max_in_flight,
            requests_per_minute=settings.provider.requests_per_minute or self.facts.requests_per_minute,
            max_attempts=settings.failures.max_attempts,
            tolerate=settings.failures.tolerate,
            selected=selected,
        )

    def _exit_code(self, counts: dict[State, int], reason: StopRun | None) -> int:
        if reason is not None:
            return reason.exit_code
        if self.is_interrupted:
            return 130
        if counts.get(State.HELD):
            return 4
        return 0 if sum(counts.values()) == counts.get(State.PUBLISHED, 0) else 3

    def _credits(self) -> dict[str, int | None]:
        spent = self.ledger.credits(self.run_id).run
        floor = self.dispatch.floor if self.dispatch else None
        balance = None
        if floor is not None:
            balance = floor.balance_before if floor.balance_after is None else floor.balance_after
        return {"reserved": spent.reserved, "charged": spent.charged, "balance": balance}

    def _requests(self) -> dict[str, float | int | None]:
        floor = self.dispatch.floor if self.dispatch else None
        if floor is None:
            return {"sent": 0, "rejected": 0, "per_track": None}
        traffic, done = floor.client.traffic, floor.finished
        return {
            "sent": traffic.sent,
            "rejected": traffic.rejected,
            "per_track": round(traffic.sent / done, 3) if done else None,
        }


def fingerprint(api_key: str) -> str:
    """Give a name for an API key that does not give it away."""
    return hashlib.sha256(api_key.encode()).hexdigest()[:12]


def source_of(settings: Settings, selection: Selection) -> Source:
    """Give the part of the catalogue that is selected."""
    catalogue = settings.catalogue
    return Source(
        catalogue.manifest,
        where=selection.where or catalogue.where,
        limit=selection.limit,
        storage_options=catalogue.storage_options,
    )


@contextmanager
def open_run(settings: Settings, selection: Selection = Selection()) -> Iterator[Run]:
    """Open everything a run needs and check it before anything is spent: recipe, manifest, dataset, key, lease.

    Raises ConfigError, ManifestError, StorageError or LeaseHeld, each naming what is wrong and the fix.
    """
    if settings.execution.runner != "threads":
        raise ConfigError(
            f"execution.runner {settings.execution.runner!r} is not available yet.", fix="Use threads."
        )
    facts = load_facts(settings.provider.kind)
    check_recipe(settings.recipe.as_recipe(), facts)
    carried = columns(source_of(settings, selection))
    layout = Layout(settings.dataset.partition_by, carried, settings.dataset.audio)
    store = open_store(settings.dataset.url, settings.dataset.storage_options)
    store.check_writable()
    claim_layout(store, layout)
    with ExitStack() as stack:
        ledger = stack.enter_context(open_ledger(settings.ledger_url))
        access = stack.enter_context(open_access(settings, facts))
        key_id = fingerprint(access.api_key)
        fence = stack.enter_context(_lease(ledger, key_id))
        run_id = ledger.start_run(
            settings.name, settings.provider.kind, settings.recipe.as_recipe(), _digest(settings), key_id
        )
        run = Run(settings, selection, facts, access, ledger, store, layout, run_id, fence)
        observer = _observer.get()
        if observer is not None:
            observer.opened(run)
            stack.callback(observer.closed, run)
        yield run


@contextmanager
def open_access(settings: Settings, facts: ProviderFacts) -> Iterator[Access]:
    """Give where the provider is and the key for it, starting the local service where no URL is configured."""
    provider, options = settings.provider, settings.catalogue.storage_options
    key = provider.api_key.get_secret_value() if provider.api_key else None
    base_url = provider.base_url or facts.base_url
    if base_url is None:
        with running_service(_service_options(settings)) as service:
            yield Access(service.api_url, service.key, options)
        return
    if not key:
        raise ConfigError(
            f"provider.api_key is missing, and {facts.kind} needs one.",
            fix=f"Set it to ${{{facts.key_variable or 'STEMLINE_API_KEY'}}} and export that variable.",
        )
    yield Access(base_url, key, options)


def _service_options(settings: Settings) -> Options:
    return Options(
        folder=Path(".stemline") / f"service-{settings.name}",
        requests_per_minute=settings.provider.requests_per_minute or load_facts("local").requests_per_minute,
        workers=settings.provider.workers or DEFAULT_WORKERS,
        engine=settings.provider.engine,
        retention_seconds=EMBEDDED_RETENTION_SECONDS,
        # It serves this run alone, whose owner chose the locations.
        allow_private_sources=True,
    )


@contextmanager
def _lease(ledger: Ledger, key_id: str) -> Iterator[int]:
    """Hold the API key; take it over at once from a process of this machine that is dead."""
    holder = f"{socket.gethostname()}:{os.getpid()}"
    try:
        fence = ledger.acquire_lease(key_id, holder, LEASE_SECONDS)
    except LeaseHeld:
        lease = ledger.lease(key_id)
        if lease is None or not _is_dead(lease.holder):
            raise
        ledger.release_lease(key_id, lease.fence)
        fence = ledger.acquire_lease(key_id, holder, LEASE_SECONDS)
    try:
        yield fence
    finally:
        ledger.release_lease(key_id, fence)


def _is_dead(holder: str) -> bool:
    host, _, pid = holder.rpartition(":")
    if host != socket.gethostname() or not pid.isdigit():
        return False
    try:
        os.kill(int(pid), 0)
    except ProcessLookupError:
        return True
    except PermissionError:
        return False
    return False


def _digest(settings: Settings) -> str:
    return hashlib.sha256(settings.model_dump_json(exclude={"provider": {"api_key"}}).encode()).hexdigest()[
        :16
    ]
