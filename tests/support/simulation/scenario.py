"""A scenario: a vendor, a catalogue, keys, and the real dispatchers between them, run to the end on a virtual loop."""

from __future__ import annotations

import asyncio
import hashlib
import math
import random
import time
from array import array
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import datetime
from functools import partial
from pathlib import Path

from support.simulation.dialects import AIStemSplitterDialect, StemSplitDialect
from support.simulation.result import SimulationResult
from support.simulation.vendor import (
    API_URL,
    TRACK_SECONDS,
    SimulatedAccount,
    SimulatedJob,
    SimulatedVendor,
    VendorBehaviour,
    instant,
)
from support.simulation.virtual_loop import VirtualLoop

from stemline.budget import Limits
from stemline.client import Access, Client, Pacer
from stemline.clock import loop_time
from stemline.dispatcher import DispatcherGroup, LeasedKey, ReadyQueue, RunParameters
from stemline.dispatcher.dispatcher import Dispatcher
from stemline.dispatcher.provider_speed import ProviderSpeed
from stemline.dispatcher.session import DispatcherSession
from stemline.dispatcher.track_queue import TrackQueue
from stemline.ledger import LEASE_SECONDS, Ledger, open_ledger
from stemline.providers import load_provider
from stemline.records import CollectedTrack, Event, Phase, ReadyTrack, Recipe, StemFile, Submission, Track
from stemline.settings import load_facts
from stemline.settings.section import ProviderSettings

STEM = StemFile("vocals", "v.mp3", "mp3", 44_100, 2, 1, 1.0, 1, "ab", None, None, "ok")
RECIPE = Recipe("four", "best", "mp3")
HOOK_URL = "https://hooks.test/hooks"
PLAN_TRACKS = 10_000
USUAL_IN_FLIGHT: int = ProviderSettings.model_fields["max_in_flight"].default
DIALECTS = {"stemsplit": StemSplitDialect, "aistemsplitter": AIStemSplitterDialect}


@dataclass(frozen=True)
class Scenario:
    """What is simulated."""

    behaviour: VendorBehaviour = field(default_factory=VendorBehaviour)
    tracks: int = 1_000
    is_upload: bool = False
    keys: int = 1
    max_in_flight: int = USUAL_IN_FLIGHT
    is_stuck_of_before: bool = False
    """Whether a job of an earlier run is still with each vendor, and never done."""
    minutes: float | None = None
    """When the run is left, with whatever is under way; None: it comes to its end."""


def simulate(
    scenario: Scenario, folder: Path, on_planned: Callable[[Ledger], object] = lambda _: None
) -> SimulationResult:
    """Run a catalogue to its end, with the ledger in `folder`, and give what was counted.

    `on_planned` is called when all tracks are planned and nothing is sent yet.
    """
    random.seed(scenario.behaviour.seed)  # the client draws its pauses from it
    loop = VirtualLoop()

    def clock() -> datetime:
        return instant(loop.time())

    try:
        with open_ledger(f"sqlite:///{folder / 'scene.db'}", clock=clock) as ledger:
            simulation = Simulation(scenario, ledger, folder)
            on_planned(ledger)
            began = time.process_time()
            loop.run_until_complete(simulation.run())
            loop.run_until_complete(loop.shutdown_default_executor())
            return simulation.count(time.process_time() - began)
    finally:
        loop.close()


class CollectorStub:
    """One dispatcher's producer: every ready track counts as collected at once.

    The real ready queue belongs to another thread, which has another clock.
    """

    def __init__(self, ledger: Ledger, account: SimulatedAccount) -> None:
        """Begin empty."""
        self.dispatcher: Dispatcher | None = None
        self.done_at = array("d")
        self.collected_at = array("d")
        self.cpu_seconds = 0.0
        """What booking took."""
        self._ledger, self._account = ledger, account

    def put(self, ready: ReadyTrack) -> None:
        """Book a track as collected, and say so to the dispatcher."""
        began = time.thread_time()
        self._book(ready)
        self.cpu_seconds += time.thread_time() - began

    def _book(self, ready: ReadyTrack) -> None:
        now, token = self._ledger.clock(), ready.attempt.token
        self._ledger.attempts.record_collected(
            CollectedTrack(token, (STEM,), 120.0, "Am", "provider", "provider", now)
        )
        self.done_at.append(self._account.jobs[ready.job.job_id].done_at)
        self.collected_at.append(loop_time())
        if self.dispatcher is not None:
            self.dispatcher.acknowledge([token], [])

    def close(self) -> None:
        """Nothing to do."""


class Simulation:
    """The dispatchers of a run, with simulated vendors in place of the network and stubs in place of collectors."""

    def __init__(self, scenario: Scenario, ledger: Ledger, folder: Path) -> None:
        self._scenario, self._ledger = scenario, ledger
        kind = scenario.behaviour.dialect
        self._provider = load_provider(load_facts(kind))
        self._run_id = ledger.runs.start("scene", kind, RECIPE, "digest", _key_id(0))
        for tracks in _catalogue(scenario, folder):
            ledger.tracks.plan(self._run_id, tracks)
        self._parameters = self._build_parameters()
        self._line = TrackQueue(ledger, self._run_id)
        numbers = range(scenario.keys)
        self._vendors = [
            SimulatedVendor(scenario.behaviour, DIALECTS[kind](), number, self._send_webhook)
            for number in numbers
        ]
        for number in numbers if scenario.is_stuck_of_before else ():
            self._leave_stuck(number)
        self._collectors = [CollectorStub(ledger, vendor.account) for vendor in self._vendors]
        self._dispatchers = [
            Dispatcher(partial(self._build_session, number), collector)  # type: ignore[arg-type] # it stands in for a ReadyProducer
            for number, collector in enumerate(self._collectors)
        ]
        self.group = DispatcherGroup(self._dispatchers, ledger, self._run_id, ReadyQueue())

    def _leave_stuck(self, number: int) -> None:
        """Have an earlier run have submitted a track whose job never ends."""
        attempts, account = self._ledger.attempts, self._vendors[number].account
        before = self._ledger.runs.start("before", self._scenario.behaviour.dialect, RECIPE, "digest")
        track = Track(f"stuck-{number}", "https://music.test/stuck.flac", 0, duration_seconds=180.0)
        self._ledger.tracks.plan(before, [track])
        token = f"sl{number:020}"
        attempts.reserve(before, track, token, TRACK_SECONDS, Limits(), key_id=_key_id(number))
        attempts.mark_sending(token)
        job = account.make_job(f"stuck.{token}.flac", TRACK_SECONDS, math.inf, 0.0)
        attempts.record_submission(token, Submission(job.job_id))

    async def run(self) -> None:
        """Have every dispatcher work to its end, all on one clock."""
        for dispatcher, collector in zip(self._dispatchers, self._collectors, strict=True):
            collector.dispatcher = dispatcher
        if self._scenario.minutes is not None:
            asyncio.get_running_loop().call_at(60 * self._scenario.minutes, self.group.abandon)
        # Not by `start`: a thread of its own would have a clock of its own.
        await asyncio.gather(*(dispatcher._run() for dispatcher in self._dispatchers))
        if self.group.reason is not None:
            raise self.group.reason

    def count(self, cpu_seconds: float) -> SimulationResult:
        """Give what was counted, where all of it took so much CPU."""
        result = SimulationResult(
            requests_per_minute=self._scenario.behaviour.requests_per_minute, cpu_seconds=cpu_seconds
        )
        for vendor, collector in zip(self._vendors, self._collectors, strict=True):
            result.granted.append(vendor.account.granted)
            result.refused += vendor.account.refused
            result.jobs += vendor.account.made
            result.jobs_kept += len(vendor.account.jobs)
            result.vendor_cpu_seconds += vendor.cpu_seconds
            result.collector_cpu_seconds += collector.cpu_seconds
            result.done_at.extend(collector.done_at)
            result.collected_at.extend(collector.collected_at)
        return result

    def _build_parameters(self) -> RunParameters:
        scenario = self._scenario
        return RunParameters(
            run_id=self._run_id,
            kind=scenario.behaviour.dialect,
            recipe=RECIPE,
            read_limits=Limits,
            on_limit="stop",
            max_in_flight=scenario.max_in_flight,
            requests_per_minute=scenario.behaviour.requests_per_minute,
            max_attempts=3,
            tolerate=None,
            read_selected=lambda: scenario.tracks,
            hook_url=HOOK_URL if scenario.behaviour.has_webhooks else None,
        )

    def _build_session(self, number: int) -> DispatcherSession:
        access = Access(API_URL, f"key-{number}", {})
        fence = self._ledger.leases.acquire(_key_id(number), "scene", LEASE_SECONDS)
        parameters, facts, vendor = self._parameters, self._provider.facts, self._vendors[number]
        pacer = Pacer(parameters.requests_per_minute)
        client = Client(self._provider, access, pacer, parameters.retry_policy, transport=vendor)
        speed = ProviderSpeed(facts.speed, facts.latency_seconds)
        key = LeasedKey(access, _key_id(number), fence)
        collector = self._collectors[number]
        return DispatcherSession(
            parameters, key, self._ledger, client, self._provider, self._line, collector, speed
        )  # type: ignore[arg-type]

    def _send_webhook(self, job: SimulatedJob) -> None:
        """Put an event into the inbox, as the receiver does, and wake the dispatchers."""
        digest = hashlib.sha256(job.job_id.encode()).hexdigest()
        event = Event(job.job_id, Phase.DONE, instant(job.done_at), digest)
        if self._ledger.inbox.receive(self._scenario.behaviour.dialect, event):
            self.group.wake(event)


def _key_id(number: int) -> str:
    return f"key-id-{number}"


def _catalogue(scenario: Scenario, folder: Path) -> Iterator[list[Track]]:
    """Give the tracks batch by batch: one small file, or web addresses."""
    song = folder / "song.flac"
    song.write_bytes(bytes(1_000))
    for first in range(0, scenario.tracks, PLAN_TRACKS):
        numbers = range(first, min(first + PLAN_TRACKS, scenario.tracks))
        yield [
            Track(
                f"track-{number:07}",
                str(song) if scenario.is_upload else f"https://music.test/{number}.flac",
                number,
                duration_seconds=float(TRACK_SECONDS),
                size_bytes=1_000,
            )
            for number in numbers
        ]
