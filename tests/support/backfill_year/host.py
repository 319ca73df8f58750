"""The machine that all processes of a simulated year run on: real runs on the virtual clock.

What blocks in a run (asking for the API key, waiting for its turn) is carried into the loop by a greenlet, as
SQLAlchemy does it for its own blocking code. Runs, their opening, lanes, leases, dispatchers, ledger and budgets are
the real ones. Simulated are the vendor, the clock, the host, and collecting; parts and reports are not written.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from contextvars import ContextVar
from dataclasses import replace
from datetime import datetime
from types import SimpleNamespace
from typing import Any, TypeVar

import pytest
from sqlalchemy import Engine, event
from sqlalchemy.util import await_only, greenlet_spawn
from support.backfill_year.account import Connection, SharedAccount
from support.backfill_year.process import Killed, Process
from support.simulation.scenario import STEM
from support.simulation.vendor import API_URL, instant
from support.simulation.virtual_loop import VirtualLoop
from support.simulation.virtual_queue import VirtualQueue

import stemline.backfill.legs
import stemline.dispatcher.dispatcher
import stemline.dispatcher.key_lease
import stemline.dispatcher.submitter
import stemline.ownership
import stemline.publisher
import stemline.run.lease
import stemline.run.opening
import stemline.run.run
from stemline.backfill.legs import BackfillLegs
from stemline.client import Access
from stemline.dispatcher.group import DispatcherGroup, make_dispatchers
from stemline.ledger import Ledger, open_ledger
from stemline.providers import load_provider
from stemline.publisher import Publisher
from stemline.records import CollectedTrack
from stemline.run.collected_batches import INTERRUPT_SECONDS
from stemline.run.dispatching import DispatcherSetup
from stemline.run.lane import WATCH_SECONDS, LaneWatch
from stemline.run.opening import open_run
from stemline.run.run import Run
from stemline.run.selection import Result, Selection
from stemline.settings import Settings

T = TypeVar("T")
LEASE_SECONDS = 3_600.0
"""Leases last longer here than a minute: renewing them for a year would be most of what is simulated."""
LOOK_SECONDS = 600.0
"""A backfill that waits looks so late where nobody has stirred."""
LIMITS_SECONDS = 1_800.0
BATCH_TRACKS = 50
NO_STEM = replace(STEM, size_bytes=0)
"""Nothing is carried, and so nothing is learnt of the bandwidth."""
_PROCESS: ContextVar[Process] = ContextVar("process")


class Host:
    """The machine, its processes and its clock."""

    def __init__(self, loop: VirtualLoop, account: SharedAccount) -> None:
        """Begin with no process."""
        self.loop, self.account = loop, account
        self.processes: list[Process] = []
        self._changed = asyncio.Event()
        self._engine: Engine | None = None
        self.on_run: Callable[[Process], None] = lambda _: None
        """Told of each run once it holds its key."""

    def clock(self) -> datetime:
        """Give the calendar's instant."""
        return instant(self.loop.time())

    def stir(self) -> None:
        """Say that a backfill's state, or who wants its key, may have changed: it is looked a second later.

        It is looked each second in truth, and nothing is seen in most of a year's.
        """
        self._changed.set()
        self._changed = asyncio.Event()

    @contextmanager
    def installed(self) -> Iterator[None]:
        """Have runs open their ledger, wait and hold their leases here."""
        waits = SimpleNamespace(monotonic=self.loop.time, sleep=sleep)
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(stemline.run.opening, "open_ledger", self.open_ledger)
            patch.setattr(stemline.backfill.legs, "open_ledger", self.open_ledger)
            patch.setattr(stemline.run.lease, "holder_name", lambda: f"{_PROCESS.get().name}:1")
            patch.setattr(stemline.run.lease, "is_dead", self._is_dead)
            patch.setattr(stemline.run.lease, "time", waits)
            patch.setattr(stemline.run.run, "time", waits)
            patch.setattr(stemline.run.run, "write_report", lambda *_, **__: None)
            patch.setattr(stemline.run.run, "write_run_summary", lambda *_, **__: None)
            patch.setattr(stemline.ownership, "list_track_parts", lambda _: iter(["one.parquet"]))
            patch.setattr(stemline.ownership, "_unknown_parts", lambda *_: iter(()))
            patch.setattr(stemline.publisher, "find_unpublishable", lambda *_, **__: {})
            patch.setattr(
                Publisher, "_write", lambda self, _, batch_id: self.ledger.batches.publish(batch_id)
            )
            patch.setattr(stemline.dispatcher.submitter, "LIMITS_SECONDS", LIMITS_SECONDS)
            for module in (
                stemline.dispatcher.dispatcher,
                stemline.dispatcher.key_lease,
                stemline.run.lease,
            ):
                patch.setattr(module, "LEASE_SECONDS", LEASE_SECONDS)
            yield

    def _is_dead(self, holder: str) -> bool:
        name = holder.partition(":")[0]
        return any(each.name == name and each.is_killed for each in self.processes)

    def open_ledger(self, url: str) -> Ledger:
        """Open it for the process at work."""
        ledger, process = open_ledger(url, clock=self.clock), _PROCESS.get(None)
        self._share_engine(ledger)
        if process is not None:
            process.ledgers.append(ledger)
            database = ledger.database
            database.read = _guarded(process, database.read)  # type: ignore[method-assign]
            database.write = _guarded(process, database.write, process.count_transaction)  # type: ignore[method-assign]
        return ledger

    def _share_engine(self, ledger: Ledger) -> None:
        """Have all processes use one engine: each would compile its statements anew, a second for each run.

        It writes without waiting for the disk: nobody pulls a plug here.
        """
        if self._engine is None:
            self._engine = ledger.database._engine
            self._engine.dispose()
            event.listen(self._engine, "connect", _relax)
        ledger.database._engine.dispose()
        ledger.database._engine = self._engine

    async def run(self, process: Process, settings: Settings) -> Result | None:
        """Carry out a nightly run; None when it was killed."""
        self.stir()
        return await self._carry_out(process, lambda: self._run(process, settings, Selection()))

    async def backfill(self, process: Process, settings: Settings, name: str) -> Result | None:
        """Carry out a backfill, run after run, until it stops; None when it was killed."""
        return await self._carry_out(process, lambda: self._legs(process, settings, name))

    def _legs(self, process: Process, settings: Settings, name: str) -> Result:
        legs = BackfillLegs(settings, name, sleep=self._look_later)
        while (selection := legs.next()) is not None:
            legs.note(self._run(process, settings, selection))
        return legs.result()

    def _run(self, process: Process, settings: Settings, selection: Selection) -> Result:
        with open_run(settings, selection) as run:
            self.on_run(process)
            run.started = self.loop.time()
            run.publish_leftovers()
            run.plan()
            if run._has_work():
                await_only(self._dispatch(process, run))
            return run.finish()

    async def _carry_out(self, process: Process, act: Callable[[], T]) -> T | None:
        _PROCESS.set(process)
        self.processes.append(process)
        try:
            return await greenlet_spawn(act, _require_await=False)
        except Killed:
            return None
        except BaseExceptionGroup as error:
            if error.split(Killed)[1] is not None:
                raise
            return None
        finally:
            process.has_ended = True
            for task in process.tasks:
                task.cancel()
            await asyncio.gather(*process.tasks, return_exceptions=True)
            process.tasks.clear()
            process.ledgers.clear()
            self.stir()

    async def _dispatch(self, process: Process, run: Run) -> None:
        queue = VirtualQueue(len(run.fences))
        lane = run._lane()
        group = self._make_group(process, run, queue, lane)
        run.dispatchers = group
        run.__dict__["collected"] = SimpleNamespace(
            number=1, began_ns=0, interrupt=lambda: self.loop.call_later(INTERRUPT_SECONDS, group.abandon)
        )
        working = [
            asyncio.create_task(_work(group, queue)),
            asyncio.create_task(_collect(process, run, queue)),
        ]
        process.tasks = [*working]
        if lane is not None:
            process.tasks.append(asyncio.create_task(self._watch(lane)))
        await asyncio.wait(working, return_when=asyncio.FIRST_EXCEPTION)
        process.require_life()
        for task in working:
            await task
        for task in process.tasks:
            task.cancel()
        for dispatcher in group._dispatchers:
            dispatcher._thread = SimpleNamespace(join=lambda: None)  # type: ignore[assignment] # its task has ended
        group.settle()

    def _make_group(
        self, process: Process, run: Run, queue: VirtualQueue, lane: LaneWatch | None
    ) -> DispatcherGroup:
        setup = DispatcherSetup(
            run.settings, run.facts, run.ledger, run.run_id, run.fences, lambda: run.planning.to_do, lane
        )
        keys = [secret.get_secret_value() for secret in run.settings.provider.api_keys]
        return make_dispatchers(
            run.ledger,
            load_provider(run.facts),
            [setup._leased(Access(API_URL, key, {})) for key in keys],
            setup._parameters(None),
            queue,  # type: ignore[arg-type] # it stands in for a ReadyQueue
            connect=lambda _: Connection(self.account, process),
        )

    def _look_later(self, seconds: float) -> None:
        """Let a backfill look whether it may go on a while after anything may have changed."""

        async def wait() -> None:
            with suppress(TimeoutError):
                async with asyncio.timeout(LOOK_SECONDS):
                    await self._changed.wait()
            await asyncio.sleep(seconds)

        await_only(wait())

    async def _watch(self, lane: LaneWatch) -> None:
        """Look after the lane, a second after anything may have changed."""
        while True:
            changed = self._changed
            await asyncio.sleep(WATCH_SECONDS)
            lane._look()
            await changed.wait()


def sleep(seconds: float) -> None:
    """Let virtual time pass, in a process."""
    await_only(asyncio.sleep(seconds))


async def _collect(process: Process, run: Run, queue: VirtualQueue) -> None:
    """Book each ready track as collected at once, and publish some together."""
    tokens: list[str] = []
    while ready := await queue.take():
        process.require_life()
        for each in ready:
            outcome = CollectedTrack(
                each.attempt.token, (NO_STEM,), 120.0, "Am", "provider", "provider", run.ledger.clock()
            )
            token = run.book(each, outcome)
            tokens += [] if token is None else [token]
        if len(tokens) >= BATCH_TRACKS:
            run.publish(tokens)
            tokens = []
    run.publish(tokens)


async def _work(group: DispatcherGroup, queue: VirtualQueue) -> None:
    try:
        await asyncio.gather(*(each._run() for each in group._dispatchers))
    finally:
        queue.close()


def _relax(connection: Any, _: object) -> None:
    connection.execute("PRAGMA synchronous=OFF")


def _guarded(
    process: Process, opened: Callable[[], Any], after: Callable[[], object] = lambda: None
) -> Callable[[], Any]:
    @contextmanager
    def guarded() -> Iterator[Any]:
        process.require_life()
        with opened() as connection:
            yield connection
        after()

    return guarded
