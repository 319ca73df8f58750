"""One process of a simulated year: a run of the product from its opening to its end, on the virtual clock.

Manifest, plan, ledger, identity, dispatchers, publisher and report are the real ones. Simulated are the vendor behind
the dispatchers' transport, the clock, the hosts of processes, and collecting, which gives small stems of one sound.
"""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Callable, Coroutine, Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from datetime import datetime
from types import SimpleNamespace
from typing import Any

import pytest
from sqlalchemy import event
from support.simulation.virtual_loop import VirtualLoop
from support.simulation.virtual_queue import VirtualQueue
from year_connection import YearConnection
from year_mortal import Killed, Process
from year_vendor import SILENT, STEMS, URL, YearVendor, instant

import stemline.adoption
import stemline.rewrite.compaction
import stemline.run.existing_ledger
import stemline.run.lease
import stemline.run.opening
from stemline.adoption import AdoptionReport, adopt_dataset
from stemline.client import Access
from stemline.collector import CollectResult, Relink
from stemline.dataset import stem_path
from stemline.dispatcher import DispatcherGroup
from stemline.dispatcher.group import make_dispatchers
from stemline.errors import StemlineError
from stemline.ledger import Ledger, open_ledger
from stemline.providers import load_provider
from stemline.records import Code, CollectedTrack, Failure, ReadyTrack, State, StemFile
from stemline.run.dispatching import DispatcherSetup
from stemline.run.opening import open_run
from stemline.run.run import Run
from stemline.run.selection import Selection
from stemline.settings import Settings
from stemline.storage import Store, open_store

SOUND = (
    b"RIFF$\x00\x00\x00WAVEfmt \x10\x00\x00\x00\x01\x00\x01\x00"
    b"\x40\x1f\x00\x00\x80>\x00\x00\x02\x00\x10\x00data\x00\x00\x00\x00"
)
DIGEST = hashlib.sha256(SOUND).hexdigest()
COLLECT_SECONDS = 2.0
OTHERS_SECONDS = 15.0
LONGEST_SECONDS = 3 * 86_400.0
MANY_PARTS = 3
"""So many parts are merged here already, so that a year sees it often."""
"""No night may take longer."""


_PROCESS: ContextVar[Process] = ContextVar("process")


class Host:
    """The one machine that all processes of a year run on, in one loop."""

    def __init__(self, loop: VirtualLoop, vendor: YearVendor) -> None:
        self.loop, self.vendor = loop, vendor
        loop.set_task_factory(_note_task)

    @contextmanager
    def installed(self) -> Iterator[None]:
        """Have runs open their ledger and dataset here, and hold their leases under their own names."""
        with pytest.MonkeyPatch.context() as patch:
            for module in (stemline.run.opening, stemline.adoption, stemline.run.existing_ledger):
                patch.setattr(module, "open_ledger", self._open_ledger)
            patch.setattr(stemline.run.opening, "open_store", _open_store)
            patch.setattr(stemline.run.lease, "socket", SimpleNamespace(gethostname=_host_name))
            # What waits for a dead process's hold on the parts does so on this clock.
            waits = SimpleNamespace(monotonic=self.loop.time, sleep=self.loop.advance)
            patch.setattr(stemline.run.lease, "time", waits)
            patch.setattr(stemline.rewrite.compaction, "MANY_PARTS", MANY_PARTS)
            yield

    def clock(self) -> datetime:
        """Give the calendar's instant."""
        return instant(self.loop.time())

    def _open_ledger(self, url: str) -> Ledger:
        ledger, process = open_ledger(url, clock=self.clock), _PROCESS.get()
        process.ledgers.append(ledger)
        database = ledger.database
        _make_fast(ledger)
        database.read = _guarded(process, database.read)
        database.write = _guarded(process, database.write, lambda: process.count("transactions"))
        return ledger

    async def run(self, process: Process, settings: Settings, selection: Selection) -> Process:
        """Carry out a run, to its end or until it dies."""
        _PROCESS.set(process)
        try:
            with open_run(settings, selection) as run:
                process.run_id = run.run_id
                run.publish_leftovers()
                run.plan()
                await self._dispatch(process, run)
                await _wait_for_others(run)
                process.result = run.finish()
        except StemlineError as error:
            process.error = error
        except Killed:
            pass
        except BaseExceptionGroup as error:
            if error.split(Killed)[1] is not None:
                raise
        finally:
            await _end(process, self.vendor)
        return process

    def adopt(self, settings: Settings) -> AdoptionReport:
        """Do as `stemline adopt`."""
        _PROCESS.set(Process("adopt"))
        return adopt_dataset(settings)

    @contextmanager
    def person(self) -> Iterator[None]:
        """Let a person's command open the ledger inside the `with` block."""
        token = _PROCESS.set(Process("person"))
        try:
            yield
        finally:
            _PROCESS.reset(token)

    async def _dispatch(self, process: Process, run: Run) -> None:
        if not run._has_work():
            return
        queue = VirtualQueue(len(run.fences))
        group = self._make_group(process, run, queue)
        run.dispatchers = group
        process.dispatching = [asyncio.create_task(each._run()) for each in group._dispatchers]
        collector = asyncio.create_task(self._collect(process, run, queue))
        working = asyncio.gather(*process.dispatching, return_exceptions=True)
        if process.seconds is not None:
            self.loop.call_later(process.seconds, process.kill)
        if process.interrupted_after is not None:
            self.loop.call_later(process.interrupted_after, _interrupt, process, run)
        async with asyncio.timeout(LONGEST_SECONDS):
            ended = await working
        queue.close()
        process.require_life()
        await collector
        _raise_first(ended)
        for dispatcher in group._dispatchers:
            dispatcher._thread = SimpleNamespace(join=lambda: None)  # its task has ended
        assert not list(group.ready_tracks())
        group.settle()

    def _make_group(self, process: Process, run: Run, queue: VirtualQueue) -> DispatcherGroup:
        setup = DispatcherSetup(
            run.settings, run.facts, run.ledger, run.run_id, run.fences, lambda: run.planning.to_do
        )
        keys = [secret.get_secret_value() for secret in run.settings.provider.api_keys]
        leased = [setup._leased(Access(URL, key, {})) for key in keys]
        return make_dispatchers(
            run.ledger,
            load_provider(run.facts),
            leased,
            setup._parameters(None),
            queue,  # type: ignore[arg-type] # it stands in for a ReadyQueue
            connect=lambda key: YearConnection(
                self.vendor, key.access.api_key, process.name, lambda: process.is_killed
            ),
        )

    async def _collect(self, process: Process, run: Run, queue: VirtualQueue) -> None:
        while ready := await queue.take():
            await asyncio.sleep(COLLECT_SECONDS)
            process.require_life()
            outcomes = [self._collect_one(run.store, each) for each in ready]
            tokens = [run.book(*each) for each in zip(ready, outcomes, strict=True)]
            run.publish([token for token in tokens if token is not None])

    def _collect_one(self, store: Store, ready: ReadyTrack) -> CollectResult:
        token, found = ready.attempt.token, self.vendor.download(ready.job.job_id)
        if found == "gone":
            return Relink(token, "Nothing is there.", is_gone=True)
        if found == "cut":
            return Failure(token, State.READY, Code.DOWNLOAD_FAILED, "It broke off.", is_retryable=True)
        if found == "bad" and not ready.is_last:
            return Failure(token, State.READY, Code.TRUNCATED, "Half of it is missing.", is_retryable=True)
        if found in {"bad", SILENT}:
            code = Code.TRUNCATED if found == "bad" else Code.ALL_SILENT
            return Failure(token, State.QUARANTINED, code, "It does not verify.")
        stems = [_store_stem(store, ready, stem) for stem in STEMS]
        now = self.clock()
        return CollectedTrack(token, tuple(stems), 120.0, "Am", "provider", "provider", now)


async def _wait_for_others(run: Run) -> None:
    """Do as the run does itself, on this clock: it would wait in real time."""
    if run.dispatchers is not None and run.dispatchers.reason is not None:
        return
    if run.is_interrupted or not run.ledger.recovery.under_way_elsewhere(run.run_id, run.fences):
        return
    for key_id, fence in run.fences.items():
        run.ledger.leases.release(key_id, fence)
    while run.ledger.recovery.under_way_elsewhere(run.run_id, run.fences):  # noqa: ASYNC110 - another process
        await asyncio.sleep(OTHERS_SECONDS)


async def _end(process: Process, vendor: YearVendor) -> None:
    """Cancel what is left of a process, and let go its connections."""
    process.dispatching = []
    left = process.tasks - vendor.tasks - {asyncio.current_task()}
    if not process.is_killed:
        left = {task for task in left if not task.done()}
        assert process.error is not None or not left, f"tasks are left: {left}"
    for task in left:
        task.cancel()
    await asyncio.gather(*left, return_exceptions=True)
    for ledger in process.ledgers:
        ledger.close()


def _interrupt(process: Process, run: Run) -> None:
    if not process.is_killed and process.dispatching:
        run.interrupt()


def _raise_first(ended: Sequence[object]) -> None:
    for outcome in ended:
        if isinstance(outcome, BaseException):
            raise outcome


def _store_stem(store: Store, ready: ReadyTrack, stem: str) -> StemFile:
    path = stem_path(ready.attempt, stem, "wav")
    store.put_bytes(path, SOUND)
    seconds = ready.attempt.track.duration_seconds or 1.0
    return StemFile(stem, path, "wav", 8_000, 1, 8, seconds, len(SOUND), DIGEST, -1.0, -9.0, "ok")


def _host_name() -> str:
    return _PROCESS.get().name


def _make_fast(ledger: Ledger) -> None:
    """Write a SQLite ledger without waiting for the disk: nobody pulls a plug here."""
    if not ledger.database.is_sqlite:
        return
    ledger.database._engine.dispose()

    @event.listens_for(ledger.database._engine, "connect")
    def _relax(connection: Any, _: object) -> None:
        connection.execute("PRAGMA synchronous=OFF")


def _open_store(*arguments: Any) -> Store:
    store, process = open_store(*arguments), _PROCESS.get()
    for name in ("put_bytes", "put_file", "put_stream", "copy", "delete", "delete_all"):
        setattr(store, name, _guarded_put(process, getattr(store, name)))
    return store


def _guarded_put(process: Process, put: Callable[..., None]) -> Callable[..., None]:
    def guarded(*arguments: Any) -> None:
        process.require_life()
        process.count("objects")
        put(*arguments)

    return guarded


def _guarded(process: Process, opened: Callable, after: Callable[[], object] = lambda: None) -> Callable:
    @contextmanager
    def guarded() -> Iterator[Any]:
        process.require_life()
        with opened() as connection:
            yield connection
        after()

    return guarded


def _note_task(loop: asyncio.AbstractEventLoop, work: Coroutine[Any, Any, Any], **facts: Any) -> asyncio.Task:
    task = asyncio.Task(work, loop=loop, **facts)
    process = _PROCESS.get(None)
    if process is not None:
        process.tasks.add(task)
    return task
