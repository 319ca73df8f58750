"""One dispatcher: the thread of an API key, its event loop, its start from what an earlier run left, its end."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Collection
from contextlib import suppress
from functools import partial

from stemline.dispatcher.poller import Poller
from stemline.dispatcher.ready_queue import ReadyProducer
from stemline.dispatcher.session import DispatcherSession
from stemline.dispatcher.submitter import Submitter
from stemline.dispatcher.webhook_watch import WebhookWatch
from stemline.errors import LeaseHeld, LedgerConflict, StemlineError, StopRun
from stemline.ledger import LEASE_SECONDS
from stemline.records import Attempt
from stemline.settings import outputs_kept_since

CLOSE_SECONDS = 15.0
"""How long a dispatcher that is to end may take, and once more after it was cancelled."""


class Dispatcher:
    """One key's dispatcher: a thread of its own, seen from the one that collects."""

    def __init__(self, build_session: Callable[[], DispatcherSession], producer: ReadyProducer) -> None:
        """Prepare; `start` starts it."""
        self._build_session, self._producer = build_session, producer
        self._thread = threading.Thread(target=self._run_thread, name="dispatcher", daemon=True)
        self._is_up = threading.Event()
        self._crash: BaseException | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._main: asyncio.Task[None] | None = None
        self._relink: Callable[[Attempt, bool], None] = lambda *_: None
        self.session: DispatcherSession | None = None
        """Its state, once that is built."""

    def start(self) -> None:
        """Start the thread and wait until its loop runs."""
        self._thread.start()
        self._is_up.wait()

    def join(self) -> None:
        """Wait for its end; raises what it died of."""
        self._thread.join()
        if self._crash is not None:
            raise self._crash

    def close(self) -> None:
        """Have it end, whoever collects: nothing more is submitted, and what is on the wire is waited for a while."""
        if self._thread.ident is None:
            return  # it was never started
        self.call(lambda session: session.abandon())
        self._thread.join(CLOSE_SECONDS)
        if self._thread.is_alive() and self._main is not None and self._loop is not None:
            with suppress(RuntimeError):  # it ended this instant
                self._loop.call_soon_threadsafe(self._main.cancel)
            self._thread.join(CLOSE_SECONDS)

    def call(self, action: Callable[[DispatcherSession], object]) -> None:
        """Do something with its state, in its own thread; nothing once that has ended."""
        if self.session is not None and self._loop is not None:
            with suppress(RuntimeError):  # its loop is closed, or closes this instant
                self._loop.call_soon_threadsafe(action, self.session)

    def acknowledge(self, tokens: list[str], relinks: list[Attempt], gone: Collection[str] = ()) -> None:
        """Say what the collector is finished with, which tracks need fresh links, and of which nothing was there."""

        def acknowledge(session: DispatcherSession) -> None:
            for attempt in relinks:
                self._relink(attempt, attempt.token in gone)
            for token in tokens:
                session.uncollected.pop(token, None)
            session.notify()

        self.call(acknowledge)

    def _run_thread(self) -> None:
        try:
            asyncio.run(self._run())
        except BaseException as error:  # noqa: BLE001 - handed to the thread that collects, in join()
            self._crash = error
        finally:
            self._is_up.set()
            self._producer.close()

    async def _run(self) -> None:
        self._loop, self._main = asyncio.get_running_loop(), asyncio.current_task()
        session = self._build_session()
        self.session = session
        self._is_up.set()
        poller = Poller(session)
        submitter = Submitter(session, poller.search)
        try:
            async with session.client, asyncio.TaskGroup() as group:
                self._relink = partial(_relink, session, group, poller)
                background = [group.create_task(_renew_lease(session))]
                if session.parameters.has_webhooks:
                    background.append(group.create_task(WebhookWatch(session, poller).run(group)))
                if _resume(session, submitter, poller, group):
                    session.balance_before = await submitter.balance.read()
                    session.record_traffic()
                    submitting = group.create_task(submitter.run(group))
                    submitting.add_done_callback(lambda _: session.notify())  # the poller waits for its end
                    await poller.run(group, submitting)
                    await _read_last_balance(session, submitter)
                    session.record_traffic()
                for task in background:
                    task.cancel()
        except* StopRun as stopped:
            session.reason = session.reason or _first(stopped)
            with suppress(StemlineError):  # what it stopped for is what is told
                session.record_traffic()
        except* LedgerConflict:
            # Who holds the key now may move what was ours; as long as we hold it, nobody may.
            if (lost := _lost_lease(session)) is None:
                raise
            session.reason = session.reason or lost
        finally:
            # Also where it had nothing to do, or ended before it could submit: the run's other keys wait for it else.
            session.track_queue.leave(session.key.key_id)


def _resume(
    session: DispatcherSession, submitter: Submitter, poller: Poller, group: asyncio.TaskGroup
) -> bool:
    """Take up what an earlier run left: free what was never sent, ask about what was, collect what is paid.

    Gives whether there is anything to do at all.
    """
    parameters, ledger = session.parameters, session.ledger
    where = (parameters.kind, session.key.key_id)
    for attempt in ledger.recovery.never_sent(*where):
        ledger.attempts.withdraw(attempt.token)
    for attempt in [*ledger.recovery.unanswered(*where), *ledger.recovery.unknown(*where)]:
        session.carry_over(attempt)
        group.create_task(submitter.resolve(attempt))
        session.notify()
    for attempt in ledger.recovery.in_flight(*where):
        if attempt.job_id is not None:
            session.carry_over(attempt)
            session.add_job(attempt, attempt.job_id)
    for ready in ledger.recovery.ready(*where):
        session.left_ready.add(ready.attempt.token)
        poller.read(group, ready.attempt, ready.job.job_id)
    is_first = session.track_queue.claim_orphans()
    for lost in ledger.lost_jobs.failed(
        parameters.kind, outputs_kept_since(session.provider.facts, ledger.clock())
    ):
        is_orphan = lost.key_id not in session.track_queue.key_ids
        if lost.key_id == session.key.key_id or (is_orphan and is_first):
            poller.look_again(group, lost)
    if is_first:
        _resume_orphans(session, poller, group)
    return (
        session.changed.is_set()
        or not session.is_idle
        or bool(ledger.tracks.next_planned(parameters.run_id, 1))
    )


def _resume_orphans(session: DispatcherSession, poller: Poller, group: asyncio.TaskGroup) -> None:
    """Look after attempts of a key that is not used any more: ours may be of the same account, or of another.

    A job we can read is ours to collect, one we cannot read is left alone; a submit without an answer stays unknown.
    """
    for attempt in session.ledger.recovery.orphans(session.parameters.kind, session.track_queue.key_ids):
        if attempt.sent_at is None:
            session.ledger.attempts.withdraw(attempt.token)
        elif attempt.job_id is not None:
            session.carry_over(attempt)
            session.orphans.add(attempt.token)
            poller.read(group, attempt, attempt.job_id)
        else:
            session.ledger.attempts.mark_unknown(
                attempt.token, "The submit got no answer, and its API key is not among the configured ones."
            )


def _relink(
    session: DispatcherSession,
    group: asyncio.TaskGroup,
    poller: Poller,
    attempt: Attempt,
    is_gone: bool,  # noqa: FBT001 - called through a partial
) -> None:
    job_id = session.uncollected.get(attempt.token)
    if job_id is not None and not session.is_abandoned:
        poller.collect_again(group, attempt, job_id, is_gone=is_gone)


async def _read_last_balance(session: DispatcherSession, submitter: Submitter) -> None:
    """Read the balance once more: it tells what was really charged."""
    if session.is_abandoned:
        return
    session.client.give_up()
    try:
        session.balance_after = await submitter.balance.read()
    except StopRun:
        return  # all else is done: no reason to say that it is not


async def _renew_lease(session: DispatcherSession) -> None:
    """Renew the lease on the API key, and tell the ledger what was sent with it; losing it stops the run."""
    while True:
        await asyncio.sleep(LEASE_SECONDS / 3)
        try:
            session.lease.renew()
            session.record_traffic()
        except StopRun as error:
            session.stop(error, is_abandoned=True)
            return


def _lost_lease(session: DispatcherSession) -> LeaseHeld | None:
    """Give the error that says who has the key now; None while this dispatcher has it."""
    try:
        session.lease.renew()
    except LeaseHeld as error:
        return error
    return None


def _first(group: BaseExceptionGroup[StopRun]) -> StopRun:
    error = group.exceptions[0]
    return _first(error) if isinstance(error, BaseExceptionGroup) else error
