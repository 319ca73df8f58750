"""The dispatcher's thread: its event loop, its start from what an earlier run left, and its end."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from stemline.client import Access, Client
from stemline.dispatcher.ear import Ear
from stemline.dispatcher.outbox import Outbox
from stemline.dispatcher.state import Floor, Orders, Speed
from stemline.dispatcher.submitter import Submitter
from stemline.dispatcher.watcher import Watcher
from stemline.errors import StopRun
from stemline.ledger import Ledger
from stemline.ledger.lease import LEASE_SECONDS
from stemline.pacing import Pacer
from stemline.records import Attempt, ReadyTrack
from stemline.wire import Provider


class Dispatch:
    """A dispatcher at work, seen from the thread that collects."""

    def __init__(self, build_floor: Callable[[], Floor], outbox: Outbox) -> None:
        """Prepare; `dispatching` starts it."""
        self._build_floor = build_floor
        self._outbox = outbox
        self._thread = threading.Thread(target=self._work, name="dispatcher", daemon=True)
        self._is_up = threading.Event()
        self._crash: BaseException | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._floor: Floor | None = None
        self._again: Callable[[Attempt], bool] = lambda _: False

    @property
    def reason(self) -> StopRun | None:
        """Why the run stopped early; None when it did not."""
        return self._floor.reason if self._floor else None

    @property
    def floor(self) -> Floor | None:
        """The shop floor, for its figures."""
        return self._floor

    def batches(self) -> Iterator[list[ReadyTrack]]:
        """Give ready tracks batch by batch until all is done; raises what the dispatcher died of."""
        yield from self._outbox.batches()
        self._thread.join()
        if self._crash is not None:
            raise self._crash

    def settle(self, tokens: list[str], relinks: list[Attempt]) -> None:
        """Say what the collector is finished with, and which tracks need fresh links."""

        def settle() -> None:
            if self._floor is None:
                return
            for attempt in relinks:
                self._again(attempt)
            for token in tokens:
                self._floor.uncollected.pop(token, None)
            self._floor.announce()

        self._call(settle)

    def hear(self, _: object = None) -> None:
        """Say that the ledger's inbox has something new."""
        self._call(lambda: self._floor.announce() if self._floor else None)

    def interrupt(self) -> None:
        """Submit nothing more and collect only what is ready."""
        self._call(lambda: self._floor.stop(None, is_abandoned=True) if self._floor else None)

    def start(self) -> None:
        """Start the thread and wait until its loop runs."""
        self._thread.start()
        self._is_up.wait()

    def _call(self, action: Callable[[], object]) -> None:
        if self._loop is not None and not self._loop.is_closed():
            self._loop.call_soon_threadsafe(action)

    def _work(self) -> None:
        try:
            asyncio.run(self._run())
        except BaseException as error:  # noqa: BLE001 - handed to the thread that collects, in batches()
            self._crash = error
        finally:
            self._is_up.set()
            self._outbox.close()

    async def _run(self) -> None:
        self._loop, floor = asyncio.get_running_loop(), self._build_floor()
        self._floor = floor
        self._is_up.set()
        submitter, watcher = Submitter(floor), Watcher(floor)
        try:
            async with floor.client, asyncio.TaskGroup() as group:
                self._again = lambda attempt: self._relink(group, watcher, attempt)
                background = [group.create_task(_keep_lease(floor))]
                if floor.orders.is_heard:
                    background.append(group.create_task(Ear(floor, watcher).run(group)))
                if _take_up(floor, submitter, watcher, group):
                    floor.balance_before = await submitter.read_balance()
                    submitting = group.create_task(submitter.run(group))
                    submitting.add_done_callback(lambda _: floor.announce())  # the watcher waits for its end
                    await watcher.run(group, submitting)
                    await _close_books(floor, submitter)
                for task in background:
                    task.cancel()
        except* StopRun as stopped:
            floor.reason = floor.reason or _first(stopped)

    def _relink(self, group: asyncio.TaskGroup, watcher: Watcher, attempt: Attempt) -> bool:
        job_id = self._floor.uncollected.get(attempt.token) if self._floor else None
        return job_id is not None and watcher.collect_again(group, attempt, job_id)


@contextmanager
def dispatching(
    ledger: Ledger, provider: Provider, access: Access, orders: Orders, outbox: Outbox
) -> Iterator[Dispatch]:
    """Run a dispatcher in a thread of its own for the length of a `with` block."""

    def build_floor() -> Floor:
        client = Client(provider, access, Pacer(orders.requests_per_minute), orders.patience)
        speed = Speed(provider.facts.speed, provider.facts.latency_seconds)
        return Floor(orders, ledger, client, provider, outbox, speed)

    dispatch = Dispatch(build_floor, outbox)
    dispatch.start()
    try:
        yield dispatch
    finally:
        dispatch.interrupt()


def _take_up(floor: Floor, submitter: Submitter, watcher: Watcher, group: asyncio.TaskGroup) -> bool:
    """Take up what an earlier run left: free what was never sent, ask about what was, collect what is paid.

    Gives whether there is anything to do at all.
    """
    orders, ledger = floor.orders, floor.ledger
    where = (orders.kind, orders.key_id)
    for attempt in ledger.never_sent(*where):
        ledger.release(attempt.token)
    for attempt in [*ledger.ambiguous(*where), *ledger.unknown(*where)]:
        group.create_task(submitter.settle(attempt))
        floor.announce()
    for attempt in ledger.in_flight(*where):
        if attempt.job_id is not None:
            floor.watch_job(attempt, attempt.job_id)
    for ready in ledger.ready_uncollected(*where):
        watcher.read(group, ready.attempt, ready.job.job_id)
    return floor.changed.is_set() or not floor.is_quiet or bool(ledger.next_planned(orders.run_id, 1))


async def _close_books(floor: Floor, submitter: Submitter) -> None:
    """Read the balance once more, and settle with it what failed jobs may have cost.

    No vendor says whether a failed job is refunded: the credits stay reserved until a balance proves either.
    """
    if floor.is_abandoned:
        return
    try:
        floor.balance_after = await submitter.read_balance()
    except StopRun:
        return  # all else is done: no reason to say that it is not
    orders, ledger = floor.orders, floor.ledger
    disputed = ledger.disputed(orders.kind).get(orders.run_id, 0)
    if not disputed or floor.balance_before is None:
        return
    unexplained = floor.balance_before - floor.balance_after - ledger.credits(orders.run_id).run.charged
    if unexplained <= 0:
        ledger.release_disputed(orders.run_id)
    elif unexplained >= disputed:
        ledger.charge_disputed(orders.run_id)


async def _keep_lease(floor: Floor) -> None:
    """Renew the lease on the API key; losing it stops the run."""
    while True:
        await asyncio.sleep(LEASE_SECONDS / 3)
        try:
            floor.ledger.renew_lease(floor.orders.key_id, floor.orders.fence, LEASE_SECONDS)
        except StopRun as error:
            floor.stop(error, is_abandoned=True)
            return


def _first(group: BaseExceptionGroup[StopRun]) -> StopRun:
    error = group.exceptions[0]
    return _first(error) if isinstance(error, BaseExceptionGroup) else error
