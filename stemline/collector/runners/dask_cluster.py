"""The workers of a Dask cluster: one that runs already, or processes of this machine for the length of a run."""

from __future__ import annotations

import itertools
import logging
import os
import socket
from collections.abc import Iterator
from concurrent.futures import CancelledError
from contextlib import contextmanager, suppress
from typing import Any

import dask
from distributed import Client, Future, KilledWorker, LocalCluster
from distributed.comm import parse_address, parse_host_port
from distributed.scheduler import NoValidWorkerError

import stemline
from stemline.collector.runners.cluster_runner import Done, WorkerDied
from stemline.collector.runners.worker import collect_in_worker, worker_version
from stemline.errors import ClusterAway

CONNECT_SECONDS = 10.0
"""How long a connection to a scheduler may take."""
HELLO_SECONDS = 30.0
"""How long a cluster may take until one of its workers answers."""
RECONNECT_SECONDS = 60.0
"""How long a scheduler may be away before the run ends; what it had in hand is sent anew."""
_DIED = (KilledWorker, NoValidWorkerError, CancelledError)
_NUMBERS = itertools.count()


class DaskCluster:
    """A client of a scheduler."""

    def __init__(self, client: Client) -> None:
        """Use one that is connected."""
        self._client = client
        self._futures: set[Future] = set()
        self._prefix = f"stemline-{os.getpid()}-{id(self):x}"

    def call(self, target: bytes, ready: bytes, done: Done) -> None:
        """Have a worker collect a track."""
        # A key of its own: by an old one the scheduler would give what came of a track under its former links.
        key = f"{self._prefix}-{next(_NUMBERS)}"
        try:
            future = self._client.submit(collect_in_worker, target, ready, key=key, pure=False)
        except Exception as error:  # a closed client raises whatever its connection did
            raise away(self._client, error) from error
        self._futures.add(future)
        future.add_done_callback(lambda ended: self._end(ended, done))

    def close(self) -> None:
        """Let go of what is in hand; a worker ends what it is at."""
        with suppress(Exception):  # the scheduler may be gone
            self._client.cancel(list(self._futures), force=True)
        self._futures.clear()

    def _end(self, future: Future, done: Done) -> None:
        self._futures.discard(future)
        try:
            outcome: bytes | BaseException = future.result()
        except _DIED as error:
            outcome = WorkerDied(str(error))
        except BaseException as error:  # noqa: BLE001 - raised where the track is booked
            outcome = error
        done(outcome)


@contextmanager
def dask_cluster(address: str | None, workers: int) -> Iterator[DaskCluster]:
    """Give the cluster at an address, or one of so many threads over the cores of this machine, for a `with` block.

    Raises ClusterAway when no worker answers, or when what answers is another stemline.
    """
    with _client(address, workers) as client:
        _greet(client, address)
        cluster = DaskCluster(client)
        try:
            yield cluster
        finally:
            cluster.close()


@contextmanager
def _client(address: str | None, workers: int) -> Iterator[Client]:
    logging.getLogger("distributed").setLevel(logging.ERROR)  # ours says what there is to say
    settings: dict[str, Any] = {
        "distributed.worker.multiprocessing-method": "spawn",  # obstore does not survive a fork
        "distributed.comm.timeouts.connect": f"{HELLO_SECONDS}s",
    }
    with dask.config.set(settings):
        if address is not None:
            _require_listener(address)
            with Client(address, timeout=RECONNECT_SECONDS, set_as_default=False) as client:
                yield client
            return
        processes = min(workers, os.cpu_count() or 1)
        with (
            LocalCluster(
                n_workers=processes,
                threads_per_worker=-(-workers // processes),
                dashboard_address=None,
                memory_limit=0,  # a worker is not to be ended for what its neighbours take
                silence_logs=logging.ERROR,
            ) as local,
            Client(local, timeout=RECONNECT_SECONDS, set_as_default=False) as client,
        ):
            yield client


def _require_listener(address: str) -> None:
    """Raise ClusterAway at once where nobody listens: a client would try for as long as for a scheduler to be back."""
    try:
        host, port = parse_host_port(parse_address(address)[1])
        socket.create_connection((host, port), timeout=CONNECT_SECONDS).close()
    except (OSError, ValueError) as error:
        raise ClusterAway(
            f"No Dask scheduler answers at {address}: {error}.",
            fix="Check execution.address, or leave it away for workers on this machine.",
        ) from error


def _greet(client: Client, address: str | None) -> None:
    """Have a worker say which stemline it has; raises ClusterAway where none answers, or another one does."""
    where = f"The Dask workers at {address}" if address else "The Dask workers"
    try:
        client.wait_for_workers(1, timeout=HELLO_SECONDS)
        found = client.submit(worker_version, pure=False).result(timeout=HELLO_SECONDS)
    except TimeoutError as error:
        raise ClusterAway(
            f"{where} do not answer.", fix=f"Start one: `dask worker {address or ''}`."
        ) from error
    except ImportError as error:
        raise ClusterAway(
            f"{where} have no stemline.", fix=f"Install stemline {stemline.__version__} there."
        ) from error
    if found != stemline.__version__:
        raise ClusterAway(
            f"{where} have stemline {found}, and this is {stemline.__version__}.",
            fix="Install the same there.",
        )


def away(client: Client, error: Exception) -> ClusterAway:
    """Give the error of a run whose scheduler is gone."""
    at = getattr(client.scheduler, "address", "")
    return ClusterAway(
        f"The Dask scheduler {at} is gone: {error}.",
        fix="Run again once it is there: what is paid is collected then.",
    )
