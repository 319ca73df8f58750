"""Tracks collected by the workers of a cluster, whichever engine it is: a worker that dies costs a repetition."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Protocol

from stemline.collector.batch import discard
from stemline.collector.pool import Report
from stemline.collector.runners.worker import pack, unpack
from stemline.collector.target import CollectResult, CollectTarget
from stemline.records import Code, Failure, ReadyTrack, State
from stemline.storage import Store, open_store

AHEAD = 2
"""So many tracks wait at the cluster: its workers need not wait for them."""
DEATHS = 4
"""A track at which so many workers have died is left: it may be what kills them."""

Done = Callable[[bytes | BaseException], None]


class WorkerDied(Exception):
    """The cluster gives a track up, as workers died at it, or forgot it with all that it had in hand."""


class Cluster(Protocol):
    """The workers of one engine."""

    def call(self, target: bytes, ready: bytes, done: Done) -> None:
        """Have a worker collect a track; `done` is called once, from any thread, with what it returned or died of.

        Raises ClusterAway when nobody is there who takes it.
        """

    def close(self) -> None:
        """Let go of what is in hand; whoever opened it ends what was started for it."""


class ClusterRunner:
    """A TrackRunner over a cluster. It removes what a track that is not collected has left: no worker does."""

    def __init__(self, cluster: Cluster, target: CollectTarget) -> None:
        """Send tracks to these workers, as many at once as the target says."""
        self.room = target.concurrency + AHEAD
        self._cluster, self._target = cluster, pack(target)
        self._store: Store = open_store(target.url, target.storage_options)
        self._is_closed = threading.Event()

    def submit(self, ready: ReadyTrack, report: Report) -> None:
        """Have a track collected."""
        self._send(ready, report, 0)

    def close(self) -> None:
        """Report nothing more."""
        self._is_closed.set()

    def _send(self, ready: ReadyTrack, report: Report, deaths: int) -> None:
        def done(outcome: bytes | BaseException) -> None:
            if self._is_closed.is_set():
                return
            if isinstance(outcome, WorkerDied) and deaths + 1 < DEATHS:
                self._send(ready, report, deaths + 1)
                return
            try:
                result = self._result(ready, outcome)
            except BaseException as error:  # noqa: BLE001 - raised where the track is booked: the caller is an engine's thread
                result = error
            report(ready, result)

        try:
            self._cluster.call(self._target, pack(ready), done)
        except BaseException as error:  # noqa: BLE001 - raised where the track is booked, which waits for it
            report(ready, error)

    def _result(self, ready: ReadyTrack, outcome: bytes | BaseException) -> CollectResult | BaseException:
        if isinstance(outcome, WorkerDied):
            sentence = f"{DEATHS} workers died while they collected it. It is paid, and tried again."
            return Failure(
                ready.attempt.token, State.READY, Code.DOWNLOAD_FAILED, sentence, is_retryable=True
            )
        if isinstance(outcome, BaseException):
            return outcome
        found = unpack(outcome)
        discard(self._store, found.leftovers)
        return found.result
