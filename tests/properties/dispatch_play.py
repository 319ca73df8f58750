"""Lives of a process one after another on one ledger, with the real dispatchers, each life cut short or not."""

from __future__ import annotations

import asyncio
import random
import uuid
from collections.abc import Coroutine
from contextvars import ContextVar
from dataclasses import dataclass, field
from datetime import datetime
from functools import partial
from typing import Any

import pytest
from dispatch_shelf import Shelf
from mortal_ledger import Heart, Killed
from rough_conduct import Conduct
from rough_vendor import BEGIN, Vendor, instant, seconds_of
from rough_wire import Wire

from benchmarks.simulation.loop import VirtualLoop
from stemline.budget import Limits
from stemline.client import Access, Client
from stemline.clock import loop_time
from stemline.dispatcher import HeldKey, Orders
from stemline.dispatcher.books import Books, close_books
from stemline.dispatcher.line import Line
from stemline.dispatcher.state import Floor, Speed
from stemline.dispatcher.worker import Worker
from stemline.errors import LeaseHeld
from stemline.ledger import Ledger, open_ledger
from stemline.ledger.lease import LEASE_SECONDS
from stemline.pacing import Pacer
from stemline.providers import load_provider
from stemline.records import Recipe, Track
from stemline.settings import load_facts

KIND = "stemsplit"
RECIPE = Recipe("vocals", "fast", "flac")
_TASKS: ContextVar[set[asyncio.Task]] = ContextVar("tasks")
"""The tasks of the process that is at work: they die with it."""
LONGEST_SECONDS = 48 * 3600.0
"""The last life ends by itself, long before this."""


@dataclass(frozen=True)
class Life:
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
    """All that a play depends on."""

    tracks: int
    conduct: Conduct = field(default_factory=Conduct)
    lives: tuple[Life, ...] = ()
    last_keys: tuple[int, ...] = (0, 1)
    """The keys of the first life without a mishap; the very last has both."""
    budgets: tuple[tuple[float, Limits], ...] = ()
    """From which time on which limits are in force."""
    on_limit: str = "stop"
    stale: tuple[int, ...] = ()
    """By track, how often its links prove stale in one life."""
    max_in_flight: int = 4


@dataclass
class Ended:
    """What one life leaves."""

    run_id: str
    wires: list[Wire]
    books: Books | None = None
    """None for a life that was cut short."""
    is_clean: bool = False
    """Whether nothing stopped it and it left nothing under way."""
    at: float = 0.0
    """When it ended by itself."""


class Play:
    """A schedule played to its end: the lives it names, then one without any mishap."""

    def __init__(self, schedule: Schedule, url: str) -> None:
        self.schedule, self.vendor = schedule, Vendor(schedule.conduct)
        self.ended: list[Ended] = []
        self.left: list[tuple[str | None, bool, bool]] = []
        """What the first life without a mishap left under way."""
        self.loop = VirtualLoop()
        self.url = url
        self._provider = load_provider(load_facts(KIND))

    def run(self) -> None:
        random.seed(self.schedule.conduct.seed)  # the client draws its pauses from it
        try:
            with pytest.MonkeyPatch.context() as patch:
                # Tokens tell the order of what was reserved at one instant: each playing is to be the same.
                patch.setattr(uuid, "uuid4", lambda: uuid.UUID(int=random.getrandbits(128)))
                self.loop.run_until_complete(self._run())
        finally:
            self.loop.close()

    def limits_at(self, moment: datetime) -> Limits:
        """Give the limits in force."""
        seconds = (moment - BEGIN).total_seconds()
        if seconds >= self.vendor.calm_at:
            return Limits()
        return [Limits(), *(limits for since, limits in self.schedule.budgets if since <= seconds)][-1]

    def clock(self) -> datetime:
        return instant(self.loop.time())

    async def _run(self) -> None:
        asyncio.get_running_loop().set_task_factory(_note_task)
        spared = []
        for life in self.schedule.lives:
            living = asyncio.create_task(self._live(life))
            if life.is_spared:
                spared.append(living)
            await asyncio.wait([living], timeout=life.seconds if life.is_spared else None)
            if not life.is_spared:
                living.result()
            await asyncio.sleep(life.pause)
        self.vendor.calm_at = loop_time()
        await asyncio.gather(*spared)
        await asyncio.sleep(LEASE_SECONDS + 1)  # a dead process's keys are nobody's by then
        await self._live(Life(self.schedule.last_keys, seconds=LONGEST_SECONDS))
        self.left = self._read_left()
        await self._live(Life(seconds=LONGEST_SECONDS))
        assert all(ended.books for ended in self.ended[-2:]), (
            "a life without a mishap did not come to its end"
        )

    def _read_left(self) -> list[tuple[str | None, bool, bool]]:
        """Give what is still under way: its key, and whether it was sent and its job is known."""
        with open_ledger(self.url, clock=self.clock) as ledger:
            reads = (ledger.never_sent, ledger.ambiguous, ledger.unknown, ledger.in_flight)
            under_way = [attempt for read in reads for attempt in read(KIND)]
            under_way += [ready.attempt for ready in ledger.ready_uncollected(KIND)]
            return [
                (ledger.key_of(attempt.token), attempt.sent_at is not None, attempt.job_id is not None)
                for attempt in under_way
            ]

    async def _live(self, life: Life) -> None:
        ledger, tasks = open_ledger(self.url, clock=self.clock), set()
        _TASKS.set(tasks)
        process = _Process(self, ledger, life)
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
    """One life."""

    play: Play
    ledger: Ledger
    life: Life
    wires: list[Wire] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.heart = Heart(self.ledger, self.life.transactions)

    def die(self) -> None:
        for wire in self.wires:
            wire.is_cut = True
        self.heart.stop()

    async def run(self) -> None:
        schedule = self.play.schedule
        run_id = self.ledger.start_run("nightly", KIND, RECIPE, "digest", key_id_of(0))
        ended = Ended(run_id, self.wires)
        self.play.ended.append(ended)
        self.ledger.plan(run_id, [_track(number) for number in range(schedule.tracks)])
        holder = f"process-{len(self.play.ended)}"
        keys = [self._hold(holder, number) for number in self.life.keys]
        line = Line(self.ledger, run_id, tuple(key.key_id for key in keys))
        shelf = Shelf(self.ledger, dict(enumerate(schedule.stale)))
        workers = [Worker(partial(self._build_floor, run_id, key, line, shelf), shelf) for key in keys]
        shelf.workers = workers
        if await self._work(workers):
            ended.books = self._end(run_id, workers)
            floors = [worker.floor for worker in workers]
            ended.at = loop_time()
            ended.is_clean = all(floor.is_quiet and floor.reason is None for floor in floors)
            for key in keys:
                self.ledger.release_lease(key.key_id, key.fence)

    async def _work(self, workers: list[Worker]) -> bool:
        """Have the dispatchers work; give whether they came to their own end."""
        tasks = [asyncio.create_task(worker._run()) for worker in workers]
        self.heart.on_death = lambda: [task.cancel() for task in tasks]
        seconds = LONGEST_SECONDS if self.life.is_spared else self.life.seconds
        done, going_on = await asyncio.wait(tasks, timeout=seconds)
        if going_on or self.heart.is_dead:
            self.die()
            await asyncio.wait(tasks)
            return False
        for task in done:
            task.result()
        return True

    def _end(self, run_id: str, workers: list[Worker]) -> Books:
        """Close a run as `Dispatch` does, which belongs to another thread."""
        floors = [worker.floor for worker in workers]
        for held in [floor.held for floor in floors if floor.held is not None][:1]:
            self.ledger.hold(run_id, held.code, held.sentence)
        return close_books(self.ledger, run_id, floors)

    def _hold(self, holder: str, number: int) -> HeldKey:
        """Hold a key, as a process does that finds its holder dead."""
        access, key_id = Access("http://vendor.test", f"key-{number}", {}), key_id_of(number)
        try:
            fence = self.ledger.acquire_lease(key_id, holder, LEASE_SECONDS)
        except LeaseHeld:
            self.ledger.release_lease(key_id, self.ledger.lease(key_id).fence)
            fence = self.ledger.acquire_lease(key_id, holder, LEASE_SECONDS)
        self.play.vendor.fences[key_id] = fence
        return HeldKey(access, key_id, fence)

    def _build_floor(self, run_id: str, key: HeldKey, line: Line, shelf: Shelf) -> Floor:
        play, schedule = self.play, self.play.schedule
        orders = Orders(
            run_id=run_id,
            kind=KIND,
            recipe=RECIPE,
            read_limits=lambda: play.limits_at(play.clock()),
            on_limit=schedule.on_limit,
            max_in_flight=schedule.max_in_flight,
            requests_per_minute=60,
            max_attempts=3,
            tolerate=None,
            selected=schedule.tracks,
        )
        wire = Wire(play.vendor, key.key_id, key.fence, orders.requests_per_minute)
        self.wires.append(wire)
        client = Client(play._provider, key.access, Pacer(60), orders.patience, transport=wire)
        facts = play._provider.facts
        speed = Speed(facts.speed, facts.latency_seconds)
        return Floor(orders, key, self.ledger, client, play._provider, line, shelf, speed)


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
