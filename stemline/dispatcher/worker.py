"""One dispatcher: the thread of an API key, its event loop, its start from what an earlier run left, its end."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Collection
from functools import partial

from stemline.dispatcher.ear import Ear
from stemline.dispatcher.outbox import Chute
from stemline.dispatcher.state import Floor
from stemline.dispatcher.submitter import Submitter
from stemline.dispatcher.watcher import Watcher
from stemline.errors import StopRun
from stemline.ledger.lease import LEASE_SECONDS
from stemline.records import Attempt


class Worker:
    """A dispatcher's thread, seen from the one that collects."""

    def __init__(self, build_floor: Callable[[], Floor], chute: Chute) -> None:
        """Prepare; `start` starts it."""
        self._build_floor, self._chute = build_floor, chute
        self._thread = threading.Thread(target=self._work, name="dispatcher", daemon=True)
        self._is_up = threading.Event()
        self._crash: BaseException | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._again: Callable[[Attempt, bool], None] = lambda *_: None
        self.floor: Floor | None = None
        """The shop floor, once it is built."""

    def start(self) -> None:
        """Start the thread and wait until its loop runs."""
        self._thread.start()
        self._is_up.wait()

    def join(self) -> None:
        """Wait for its end; raises what it died of."""
        self._thread.join()
        if self._crash is not None:
            raise self._crash

    def call(self, action: Callable[[Floor], object]) -> None:
        """Do something on the shop floor, in its own thread; nothing once that has ended."""
        if self.floor is not None and self._loop is not None and not self._loop.is_closed():
            self._loop.call_soon_threadsafe(action, self.floor)

    def settle(self, tokens: list[str], relinks: list[Attempt], gone: Collection[str] = ()) -> None:
        """Say what the collector is finished with, which tracks need fresh links, and of which nothing was there."""

        def settle(floor: Floor) -> None:
            for attempt in relinks:
                self._again(attempt, attempt.token in gone)
            for token in tokens:
                floor.uncollected.pop(token, None)
            floor.announce()

        self.call(settle)

    def _work(self) -> None:
        try:
            asyncio.run(self._run())
        except BaseException as error:  # noqa: BLE001 - handed to the thread that collects, in join()
            self._crash = error
        finally:
            self._is_up.set()
            self._chute.close()

    async def _run(self) -> None:
        self._loop, floor = asyncio.get_running_loop(), self._build_floor()
        self.floor = floor
        self._is_up.set()
        submitter, watcher = Submitter(floor), Watcher(floor)
        try:
            async with floor.client, asyncio.TaskGroup() as group:
                self._again = partial(_relink, floor, group, watcher)
                background = [group.create_task(_keep_lease(floor))]
                if floor.orders.is_heard:
                    background.append(group.create_task(Ear(floor, watcher).run(group)))
                if _take_up(floor, submitter, watcher, group):
                    floor.balance_before = await submitter.read_balance()
                    submitting = group.create_task(submitter.run(group))
                    submitting.add_done_callback(lambda _: floor.announce())  # the watcher waits for its end
                    await watcher.run(group, submitting)
                    await _read_last_balance(floor, submitter)
                for task in background:
                    task.cancel()
        except* StopRun as stopped:
            floor.reason = floor.reason or _first(stopped)


def _take_up(floor: Floor, submitter: Submitter, watcher: Watcher, group: asyncio.TaskGroup) -> bool:
    """Take up what an earlier run left: free what was never sent, ask about what was, collect what is paid.

    Gives whether there is anything to do at all.
    """
    orders, ledger = floor.orders, floor.ledger
    where = (orders.kind, floor.key.key_id)
    for attempt in ledger.never_sent(*where):
        ledger.release(attempt.token)
    for attempt in [*ledger.ambiguous(*where), *ledger.unknown(*where)]:
        floor.carried += attempt.credits_reserved
        group.create_task(submitter.settle(attempt))
        floor.announce()
    for attempt in ledger.in_flight(*where):
        if attempt.job_id is not None:
            floor.carried += attempt.credits_reserved
            floor.watch_job(attempt, attempt.job_id)
    for ready in ledger.ready_uncollected(*where):
        floor.left_ready.add(ready.attempt.token)
        watcher.read(group, ready.attempt, ready.job.job_id)
    if floor.line.take_strays():
        _take_strays(floor, watcher, group)
    return floor.changed.is_set() or not floor.is_quiet or bool(ledger.next_planned(orders.run_id, 1))


def _take_strays(floor: Floor, watcher: Watcher, group: asyncio.TaskGroup) -> None:
    """Look after attempts of a key that is not used any more: ours may be of the same account, or of another.

    A job we can read is ours to collect, one we cannot read is left alone; a submit without an answer stays unknown.
    """
    for attempt in floor.ledger.strays(floor.orders.kind, floor.line.key_ids):
        if attempt.sent_at is None:
            floor.ledger.release(attempt.token)
        elif attempt.job_id is not None:
            floor.carried += attempt.credits_reserved
            floor.strays.add(attempt.token)
            watcher.read(group, attempt, attempt.job_id)
        else:
            floor.ledger.mark_unknown(
                attempt.token, "The submit got no answer, and its API key is not among the configured ones."
            )


def _relink(
    floor: Floor,
    group: asyncio.TaskGroup,
    watcher: Watcher,
    attempt: Attempt,
    is_gone: bool,  # noqa: FBT001 - called through a partial
) -> None:
    job_id = floor.uncollected.get(attempt.token)
    if job_id is not None and not floor.is_abandoned:
        watcher.collect_again(group, attempt, job_id, is_gone=is_gone)


async def _read_last_balance(floor: Floor, submitter: Submitter) -> None:
    """Read the balance once more: it tells what was really charged."""
    if floor.is_abandoned:
        return
    floor.client.lose_hope()
    try:
        floor.balance_after = await submitter.read_balance()
    except StopRun:
        return  # all else is done: no reason to say that it is not


async def _keep_lease(floor: Floor) -> None:
    """Renew the lease on the API key; losing it stops the run."""
    while True:
        await asyncio.sleep(LEASE_SECONDS / 3)
        try:
            floor.ledger.renew_lease(floor.key.key_id, floor.key.fence, LEASE_SECONDS)
        except StopRun as error:
            floor.stop(error, is_abandoned=True)
            return


def _first(group: BaseExceptionGroup[StopRun]) -> StopRun:
    error = group.exceptions[0]
    return _first(error) if isinstance(error, BaseExceptionGroup) else error
