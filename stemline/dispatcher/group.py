"""The dispatchers of a run, one for each API key, as the thread that collects sees them."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from typing import TYPE_CHECKING

from stemline.client import Client, Pacer
from stemline.dispatcher.dispatcher import Dispatcher
from stemline.dispatcher.key_lease import LeasedKey
from stemline.dispatcher.overcharge import Overcharge
from stemline.dispatcher.pilot import Pilot
from stemline.dispatcher.provider_speed import ProviderSpeed
from stemline.dispatcher.ready_queue import ReadyProducer, ReadyQueue
from stemline.dispatcher.reconciliation import Reconciliation, reconcile_balance
from stemline.dispatcher.run_parameters import RunParameters
from stemline.dispatcher.session import DispatcherSession
from stemline.dispatcher.track_queue import TrackQueue
from stemline.errors import KeyRefused, OutOfCredits, ProviderGone, StopRun
from stemline.ledger import Ledger, PilotQuestion
from stemline.protocol import Provider
from stemline.records import Attempt, ReadyTrack
from stemline.wording import counted

if TYPE_CHECKING:
    from httpx import AsyncBaseTransport


OF_A_SERVICE = (KeyRefused, ProviderGone, OutOfCredits)
"""What ends one service's part of a run, and not that of the others."""


class DispatcherGroup:
    """The dispatchers at work: one track queue, one budget, one ready queue."""

    def __init__(
        self, dispatchers: Sequence[Dispatcher], ledger: Ledger, run_id: str, ready_queue: ReadyQueue
    ) -> None:
        """Prepare; `running_dispatchers` starts them."""
        self._dispatchers, self._ledger = dispatchers, ledger
        self._run_id, self._ready_queue = run_id, ready_queue
        self.reconciliation = Reconciliation()

    @property
    def sessions(self) -> list[DispatcherSession]:
        """What each dispatcher has done, for the figures of a run."""
        return [dispatcher.session for dispatcher in self._dispatchers if dispatcher.session is not None]

    @property
    def reason(self) -> StopRun | None:
        """Why a dispatcher stopped early; None when none did."""
        for session in self.sessions:
            if (reason := session.reason) is not None:
                if isinstance(reason, OF_A_SERVICE):
                    reason.message = session.client.tell_apart(reason.message)
                return reason
        return None

    @property
    def late_sentence(self) -> str:
        """What is left with the provider for later runs, as a sentence; empty when nothing is."""
        count = sum(len(session.left_to_later) for session in self.sessions)
        if not count:
            return ""
        them = "it" if count == 1 else "them"
        return (
            f"The provider is still at work on {counted(count)} after provider.job_timeout. "
            f"Run again: it looks at {them} once more, and submits nothing for {them}."
        )

    @property
    def overcharge(self) -> Overcharge:
        """What the provider says it charged far above what the audio is worth, with any key."""
        found = Overcharge()
        for session in self.sessions:
            found.add(session.charges)
        return found

    @property
    def finished(self) -> int:
        """How many jobs were found done."""
        return sum(session.finished for session in self.sessions)

    def ready_tracks(self) -> Iterator[ReadyTrack]:
        """Give ready tracks as they come, blocking between them, until all is done; another thread may take them."""
        return self._ready_queue.tracks()

    def settle(self) -> None:
        """Wait for the dispatchers, hold what a limit kept back, compare balances; raises what a dispatcher died of."""
        for dispatcher in self._dispatchers:
            dispatcher.join()
        for held in [session.held for session in self.sessions if session.held is not None][:1]:
            self._ledger.tracks.hold(self._run_id, held.code, held.sentence)
        self.reconciliation = reconcile_balance(self._ledger, self._run_id, self.sessions)

    def acknowledge(self, tokens: list[str], relinks: list[Attempt], gone: Collection[str] = ()) -> None:
        """Say what the collector is finished with, which tracks need fresh links, and of which nothing was there."""
        for dispatcher in self._dispatchers:
            dispatcher.acknowledge(tokens, relinks, gone)

    def wake(self, _: object = None) -> None:
        """Say that the ledger's inbox has something new."""
        for dispatcher in self._dispatchers:
            dispatcher.call(lambda session: session.notify())

    def start(self) -> None:
        """Start a thread for each."""
        for dispatcher in self._dispatchers:
            dispatcher.start()

    def close(self) -> None:
        """Have every dispatcher end, and wait for that: nothing is sent once the ledger may be closed."""
        self.interrupt()
        for dispatcher in self._dispatchers:
            dispatcher.close()

    def abandon(self) -> None:
        """Have every dispatcher end without what nobody has collected yet: the next run takes it up."""
        for dispatcher in self._dispatchers:
            dispatcher.call(lambda session: session.abandon())

    def stop(self, reason: StopRun, *, is_abandoned: bool = False) -> None:
        """Submit nothing more for this reason; with `is_abandoned` wait for nothing more either."""
        for dispatcher in self._dispatchers:
            dispatcher.call(lambda session: session.stop(reason, is_abandoned=is_abandoned))

    def interrupt(self) -> None:
        """Submit nothing more and collect only what is ready."""
        for dispatcher in self._dispatchers:
            dispatcher.call(lambda session: session.stop(None, is_abandoned=True))


@contextmanager
def running_dispatchers(
    ledger: Ledger,
    provider: Provider,
    keys: Sequence[LeasedKey],
    parameters: RunParameters,
    ready_queue: ReadyQueue,
) -> Iterator[DispatcherGroup]:
    """Run a dispatcher for each key, in a thread of its own, for the length of a `with` block.

    `ready_queue` has a producer for each key.
    """
    group = make_dispatchers(ledger, provider, keys, parameters, ready_queue)
    try:
        group.start()
        yield group
    finally:
        group.close()


def make_dispatchers(  # noqa: PLR0913 - those of `running_dispatchers`
    ledger: Ledger,
    provider: Provider,
    keys: Sequence[LeasedKey],
    parameters: RunParameters,
    ready_queue: ReadyQueue,
    *,
    connect: Callable[[LeasedKey], AsyncBaseTransport | None] = lambda _: None,
) -> DispatcherGroup:
    """Give the dispatchers of `running_dispatchers`, not started; `connect` gives what is to carry a key's requests.

    A simulation runs them on a loop of its own, whose clock is not the machine's.
    """
    key_ids = tuple(key.key_id for key in keys)
    pilot, keeps_place = _pilot(ledger, parameters, key_ids), parameters.is_backfill
    lost = ledger.lost_jobs.by_track(parameters.kind, parameters.recipe)
    track_queue = TrackQueue(ledger, parameters.run_id, key_ids, pilot, keeps_place=keeps_place, lost=lost)

    def build_session(key: LeasedKey, producer: ReadyProducer) -> DispatcherSession:
        pacer = Pacer(parameters.requests_per_minute, parameters.rate_share)
        client = Client(provider, key.access, pacer, parameters.retry_policy, transport=connect(key))
        client.traffic.on_request = parameters.on_request
        speed = ProviderSpeed(provider.facts.speed, provider.facts.latency_seconds)
        return DispatcherSession(parameters, key, ledger, client, provider, track_queue, producer, speed)

    pairs = zip(keys, ready_queue.producers, strict=True)
    dispatchers = [Dispatcher(partial(build_session, key, producer), producer) for key, producer in pairs]
    group = DispatcherGroup(dispatchers, ledger, parameters.run_id, ready_queue)
    track_queue.on_change = group.wake
    return group


def _pilot(ledger: Ledger, parameters: RunParameters, key_ids: Sequence[str]) -> Pilot | None:
    """Give what the first tracks must pass; None where nothing is asked of them."""
    if not parameters.pilot:
        return None
    question = PilotQuestion(
        parameters.kind,
        parameters.recipe,
        parameters.pilot,
        key_ids,
        parameters.run_id,
        parameters.max_attempts,
        parameters.job_timeout_seconds,
    )
    return Pilot(ledger, question)
