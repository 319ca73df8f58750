"""Processes one after another on one ledger, with the real dispatchers, each cut short or not."""

from __future__ import annotations

import asyncio
import random
import uuid
from collections.abc import Coroutine
from contextvars import ContextVar
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import partial
from typing import Any

import pytest
from faulty_behaviour import FaultyBehaviour
from faulty_vendor import BEGIN, FaultyVendor, WatchedConnection, instant, seconds_of
from killable_ledger import Killed, KillSwitch
from stale_link_collector import StaleLinkCollector
from support.simulation.virtual_loop import VirtualLoop

from stemline.budget import Limits
from stemline.client import Access, Client, Pacer
from stemline.clock import loop_time
from stemline.dispatcher import LeasedKey, RunParameters
from stemline.dispatcher.dispatcher import Dispatcher
from stemline.dispatcher.provider_speed import ProviderSpeed
from stemline.dispatcher.reconciliation import Reconciliation, reconcile_balance
from stemline.dispatcher.session import DispatcherSession
from stemline.dispatcher.track_queue import TrackQueue
from stemline.errors import LeaseHeld
from stemline.ledger import LEASE_SECONDS, Ledger, open_ledger
from stemline.providers import load_provider
from stemline.records import Attempt, Recipe, Track
from stemline.settings import load_facts

KIND = "stemsplit"
RECIPE = Recipe("vocals", "fast", "flac")
_TASKS: ContextVar[set[asyncio.Task]] = ContextVar("tasks")
"""The tasks of the process that is at work: they die with it."""
LONGEST_SECONDS = 48 * 3600.0
"""The last process ends by itself, long before this."""


@dataclass(frozen=True)
class ProcessPlan:
    """One process: the keys it has, and when it is killed at the latest."""

    keys: tuple[int, ...] = (0, 1)
    transactions: int | None = None
    """It dies right after so many; None: it does not."""
    seconds: float = 3_600.0
    pause: float = 0.0
    """How long nothing runs behind it."""
    is_spared: bool = False
    """It is only taken for dead after `seconds`, and works on beside those that follow."""


@dataclass(frozen=True)
class Schedule:
    """All that a run depends on."""

    tracks: int
    behaviour: FaultyBehaviour = field(default_factory=FaultyBehaviour)
    processes: tuple[ProcessPlan, ...] = ()
    last_keys: tuple[int, ...] = (0, 1)
    """The keys of the first process without a fault; the very last has both."""
    budgets: tuple[tuple[float, Limits], ...] = ()
    """From which time on which limits are in force."""
    on_limit: str = "stop"
    stale: tuple[int, ...] = ()
    """By track, how often its links prove stale in one process."""
    max_in_flight: int = 4


@dataclass
class EndedProcess:
    """What one process leaves."""

    run_id: str
    connections: list[WatchedConnection]
    reconciliation: Reconciliation | None = None
    """None for a process that was cut short."""
    is_clean: bool = False
    """Whether nothing stopped it and it left nothing under way."""
    at: float = 0.0
    """When it ended by itself."""


@dataclass(frozen=True)
class LeftAttempt:
    """An attempt that a process left under way."""

    key: str | None
    is_sent: bool
    is_job_known: bool
    is_unproven: bool
    """It is an unknown submit, and nothing that the vendor lists proves that it has no job."""


class ScheduleRun:
    """A schedule carried out to its end: the processes it names, then one without any fault."""

    def __init__(self, schedule: Schedule, url: str) -> None:
        self.schedule, self.vendor = schedule, FaultyVendor(schedule.behaviour)
        self.ended: list[EndedProcess] = []
        self.left: list[LeftAttempt] = []
        """What the first process without a fault left under way."""
        self.loop = VirtualLoop()
        self.url = url
        self._provider = load_provider(load_facts(KIND))

    def run(self) -> None:
        random.seed(self.schedule.behaviour.seed)  # the client draws its pauses from it
        try:
            with pytest.MonkeyPatch.context() as patch:
                # Tokens tell the order of what was reserved at one instant: each time is to be the same.
                patch.setattr(uuid, "uuid4", lambda: uuid.UUID(int=random.getrandbits(128)))
                self.loop.run_until_complete(self._run())
        finally:
            self.loop.close()

    def limits_at(self, moment: datetime) -> Limits:
        """Give the limits in force."""
        seconds = (moment - BEGIN).total_seconds()
        if seconds >= self.vendor.faultless_from:
            return Limits()
        return [Limits(), *(limits for since, limits in self.schedule.budgets if since <= seconds)][-1]

    def clock(self) -> datetime:
        return instant(self.loop.time())

    async def _run(self) -> None:
        asyncio.get_running_loop().set_task_factory(_note_task)
        spared = []
        for plan in self.schedule.processes:
            running = asyncio.create_task(self._run_process(plan))
            if plan.is_spared:
                spared.append(running)
            await asyncio.wait([running], timeout=plan.seconds if plan.is_spared else None)
            if not plan.is_spared:
                running.result()
            await asyncio.sleep(plan.pause)
        self.vendor.faultless_from = loop_time()
        await asyncio.gather(*spared)
        await asyncio.sleep(LEASE_SECONDS + 1)  # a dead process's keys are nobody's by then
        await self._run_process(ProcessPlan(self.schedule.last_keys, seconds=LONGEST_SECONDS))
        self.left = self._read_left()
        await self._run_process(ProcessPlan(seconds=LONGEST_SECONDS))
        assert all(ended.reconciliation for ended in self.ended[-2:]), (
            "a process without a fault did not come to its end"
        )

    def lists_older(self, attempt: Attempt) -> bool:
        """Tell whether the vendor lists a job now that is so much older than a submit that its absence is proven."""
        forgotten_before = self.loop.time() - self.schedule.behaviour.remembers_seconds
        listed = [job for job in self.vendor.jobs.values() if job.made_at >= forgotten_before]
        return any(instant(job.made_at) < attempt.sent_at - timedelta(minutes=5) for job in listed)

    def _read_left(self) -> list[LeftAttempt]:
        """Give what is still under way."""
        with open_ledger(self.url, clock=self.clock) as ledger:
            unknown = ledger.recovery.unknown(KIND)
            reads = (ledger.recovery.never_sent, ledger.recovery.unanswered, ledger.recovery.in_flight)
            under_way = [*unknown, *(attempt for read in reads for attempt in read(KIND))]
            under_way += [ready.attempt for ready in ledger.recovery.ready(KIND)]
            return [
                LeftAttempt(
                    ledger.attempts.key_of(attempt.token),
                    attempt.sent_at is not None,
                    attempt.job_id is not None,
                    attempt in unknown and not self.lists_older(attempt),
                )
                for attempt in under_way
            ]

    async def _run_process(self, plan: ProcessPlan) -> None:
        ledger, tasks = open_ledger(self.url, clock=self.clock), set()
        _TASKS.set(tasks)
        process = _Process(self, ledger, plan)
        try:
            await process.run()
        except Killed:
            pass
        finally:
            process.die()
            await _cancel(tasks - self.vendor.tasks)
            ledger.close()


@dataclass
class _Process:
    """One process at work."""

    schedule_run: ScheduleRun
    ledger: Ledger
    plan: ProcessPlan
    connections: list[WatchedConnection] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.kill_switch = KillSwitch(self.ledger, self.plan.transactions)

    def die(self) -> None:
        for connection in self.connections:
            connection.is_cut = True
        self.kill_switch.kill()

    async def run(self) -> None:
        schedule = self.schedule_run.schedule
        run_id = self.ledger.runs.start("nightly", KIND, RECIPE, "digest", key_id_of(0))
        ended = EndedProcess(run_id, self.connections)
        self.schedule_run.ended.append(ended)
        self.ledger.tracks.plan(run_id, [_track(number) for number in range(schedule.tracks)])
        holder = f"process-{len(self.schedule_run.ended)}"
        keys = [self._hold(holder, number) for number in self.plan.keys]
        track_queue = TrackQueue(self.ledger, run_id, tuple(key.key_id for key in keys))
        collector = StaleLinkCollector(self.ledger, dict(enumerate(schedule.stale)))
        dispatchers = [
            Dispatcher(partial(self._build_session, run_id, key, track_queue, collector), collector)
            for key in keys
        ]
        collector.dispatchers = dispatchers
        if await self._work(dispatchers):
            ended.reconciliation = self._end(run_id, dispatchers)
            sessions = [dispatcher.session for dispatcher in dispatchers]
            ended.at = loop_time()
            ended.is_clean = all(session.is_idle and session.reason is None for session in sessions)
            for key in keys:
                self.ledger.leases.release(key.key_id, key.fence)

    async def _work(self, dispatchers: list[Dispatcher]) -> bool:
        """Have the dispatchers work; give whether they came to their own end."""
        tasks = [asyncio.create_task(dispatcher._run()) for dispatcher in dispatchers]
        self.kill_switch.on_kill = lambda: [task.cancel() for task in tasks]
        seconds = LONGEST_SECONDS if self.plan.is_spared else self.plan.seconds
        done, going_on = await asyncio.wait(tasks, timeout=seconds)
        if going_on or self.kill_switch.is_killed:
            self.die()
            await asyncio.wait(tasks)
            return False
        for task in done:
            task.result()
        return True

    def _end(self, run_id: str, dispatchers: list[Dispatcher]) -> Reconciliation:
        """Close a run as `DispatcherGroup` does, which belongs to another thread."""
        sessions = [dispatcher.session for dispatcher in dispatchers]
        for held in [session.held for session in sessions if session.held is not None][:1]:
            self.ledger.tracks.hold(run_id, held.code, held.sentence)
        return reconcile_balance(self.ledger, run_id, sessions)

    def _hold(self, holder: str, number: int) -> LeasedKey:
        """Hold a key, as a process does that finds its holder dead."""
        access, key_id = Access("http://vendor.test", f"key-{number}", {}), key_id_of(number)
        try:
            fence = self.ledger.leases.acquire(key_id, holder, LEASE_SECONDS)
        except LeaseHeld:
            self.ledger.leases.release(key_id, self.ledger.leases.get(key_id).fence)
            fence = self.ledger.leases.acquire(key_id, holder, LEASE_SECONDS)
        self.schedule_run.vendor.fences[key_id] = fence
        return LeasedKey(access, key_id, fence)

    def _build_session(
        self, run_id: str, key: LeasedKey, track_queue: TrackQueue, collector: StaleLinkCollector
    ) -> DispatcherSession:
        run, schedule = self.schedule_run, self.schedule_run.schedule
        parameters = RunParameters(
            run_id=run_id,
            kind=KIND,
            recipe=RECIPE,
            read_limits=lambda: run.limits_at(run.clock()),
            on_limit=schedule.on_limit,
            max_in_flight=schedule.max_in_flight,
            requests_per_minute=60,
            max_attempts=3,
            tolerate=None,
            read_selected=lambda: schedule.tracks,
        )
        connection = WatchedConnection(run.vendor, key.key_id, key.fence, parameters.requests_per_minute)
        self.connections.append(connection)
        client = Client(run._provider, key.access, Pacer(60), parameters.retry_policy, transport=connection)
        facts = run._provider.facts
        speed = ProviderSpeed(facts.speed, facts.latency_seconds)
        return DispatcherSession(
            parameters, key, self.ledger, client, run._provider, track_queue, collector, speed
        )


def _note_task(loop: asyncio.AbstractEventLoop, work: Coroutine[Any, Any, Any], **facts: Any) -> asyncio.Task:
    task = asyncio.Task(work, loop=loop, **facts)
    _TASKS.get(set()).add(task)
    return task


async def _cancel(tasks: set[asyncio.Task]) -> None:
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


def key_id_of(number: int) -> str:
    return f"key-id-{number}"


def _track(number: int) -> Track:
    return Track(
        f"t{number}", f"http://music.test/{number}.mp3", number, duration_seconds=float(seconds_of(number))
    )
