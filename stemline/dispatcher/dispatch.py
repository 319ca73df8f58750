"""The dispatchers of a run, one for each API key, as the thread that collects sees them."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager
from functools import partial

from stemline.client import Client
from stemline.dispatcher.books import Books, close_books
from stemline.dispatcher.line import Line
from stemline.dispatcher.outbox import Chute, Outbox
from stemline.dispatcher.state import Floor, HeldKey, Orders, Speed
from stemline.dispatcher.worker import Worker
from stemline.errors import StopRun
from stemline.ledger import Ledger
from stemline.pacing import Pacer
from stemline.records import Attempt, ReadyTrack
from stemline.wire import Provider


class Dispatch:
    """The dispatchers at work: one line of tracks, one budget, one outbox."""

    def __init__(self, workers: Sequence[Worker], ledger: Ledger, run_id: str, outbox: Outbox) -> None:
        """Prepare; `dispatching` starts them."""
        self._workers, self._ledger, self._run_id, self._outbox = workers, ledger, run_id, outbox
        self.books = Books()

    @property
    def floors(self) -> list[Floor]:
        """The shop floors, for their figures."""
        return [worker.floor for worker in self._workers if worker.floor is not None]

    @property
    def reason(self) -> StopRun | None:
        """Why a dispatcher stopped early; None when none did."""
        return next((floor.reason for floor in self.floors if floor.reason is not None), None)

    @property
    def finished(self) -> int:
        """How many jobs were found done."""
        return sum(floor.finished for floor in self.floors)

    def batches(self) -> Iterator[list[ReadyTrack]]:
        """Give ready tracks batch by batch until all is done; raises what a dispatcher died of."""
        yield from self._outbox.batches()
        for worker in self._workers:
            worker.join()
        for held in [floor.held for floor in self.floors if floor.held is not None][:1]:
            self._ledger.hold(self._run_id, held.code, held.sentence)
        self.books = close_books(self._ledger, self._run_id, self.floors)

    def settle(self, tokens: list[str], relinks: list[Attempt], gone: Collection[str] = ()) -> None:
        """Say what the collector is finished with, which tracks need fresh links, and of which nothing was there."""
        for worker in self._workers:
            worker.settle(tokens, relinks, gone)

    def hear(self, _: object = None) -> None:
        """Say that the ledger's inbox has something new."""
        for worker in self._workers:
            worker.call(lambda floor: floor.announce())

    def interrupt(self) -> None:
        """Submit nothing more and collect only what is ready."""
        for worker in self._workers:
            worker.call(lambda floor: floor.stop(None, is_abandoned=True))


@contextmanager
def dispatching(
    ledger: Ledger, provider: Provider, keys: Sequence[HeldKey], orders: Orders, outbox: Outbox
) -> Iterator[Dispatch]:
    """Run a dispatcher for each key, in a thread of its own, for the length of a `with` block.

    `outbox` has a chute for each key.
    """
    line = Line(ledger, orders.run_id, tuple(key.key_id for key in keys))

    def build_floor(key: HeldKey, chute: Chute) -> Floor:
        client = Client(provider, key.access, Pacer(orders.requests_per_minute), orders.patience)
        speed = Speed(provider.facts.speed, provider.facts.latency_seconds)
        return Floor(orders, key, ledger, client, provider, line, chute, speed)

    pairs = zip(keys, outbox.chutes, strict=True)
    workers = [Worker(partial(build_floor, key, chute), chute) for key, chute in pairs]
    dispatch = Dispatch(workers, ledger, orders.run_id, outbox)
    for worker in workers:
        worker.start()
    try:
        yield dispatch
    finally:
        dispatch.interrupt()
