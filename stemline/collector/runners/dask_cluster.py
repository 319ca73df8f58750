"""The workers of a Dask cluster: one that runs already, or processes of this machine for the length of a run."""

from __future__ import annotations

import asyncio
import logging
import os
import pickle
import socket
import uuid
from collections.abc import Callable, Iterator
from concurrent.futures import CancelledError, ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import Any

import dask
from distributed import Client, Future, KilledWorker, LocalCluster
from distributed.comm import connect, parse_address, parse_host_port
from distributed.scheduler import NoValidWorkerError
from distributed.security import Security

from stemline.collector.runners.cluster_runner import Done, WorkerDied
from stemline.collector.runners.cluster_words import gone, require_same_stemline, unreachable
from stemline.collector.runners.worker import collect_in_worker, worker_version

CONNECT_SECONDS = 10.0
"""How long a connection to a scheduler may take."""
HELLO_SECONDS = 30.0
"""How long a cluster may take until one of its workers answers."""
RECONNECT_SECONDS = 60.0
"""How long a scheduler may be away before the run ends; what it had in hand is sent anew."""
_DIED = (KilledWorker, NoValidWorkerError, CancelledError)


class DaskCluster:
    """A client of a scheduler."""

    def __init__(self, client: Client) -> None:
        """Use one that is connected."""
        self._client = client
        self._futures: set[Future] = set()

    def call(self, target: bytes, ready: bytes, done: Done) -> None:
        """Have a worker collect a track."""
        # A key of its own, over all runs of the cluster: by an old one the scheduler would give what came of that.
        key = f"stemline-{uuid.uuid4().hex}"
        try:
            future = _submit(self._client, collect_in_worker, target, ready, key=key)
        except Exception as error:  # a closed client raises whatever its connection did
            at = getattr(self._client.scheduler, "address", "")
            raise gone(f"Dask scheduler {at}", error) from error
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


@dataclass(frozen=True, slots=True)
class _Call:
    """A call that is made where it is unpickled."""

    function: Callable[..., object]
    arguments: tuple[object, ...]

    def __reduce__(self) -> tuple[Callable[..., object], tuple[object, ...]]:
        return self.function, self.arguments


def _submit(
    client: Client, function: Callable[..., object], *arguments: object, key: str | None = None
) -> Future:
    """Have a worker call a function; the scheduler, which unpickles every task, may have no stemline."""
    return client.submit(pickle.loads, pickle.dumps(_Call(function, arguments)), key=key, pure=False)


@contextmanager
def dask_cluster(address: str | None, workers: int) -> Iterator[DaskCluster]:
    """Give the cluster at an address, or one of so many threads over the cores of this machine, for a `with` block.

    Raises ClusterAway when no worker answers, or when what answers is another stemline.
    """
    with _client(address, workers) as client:
        _greet(client, address)
        yield DaskCluster(client)


@contextmanager
def _client(address: str | None, workers: int) -> Iterator[Client]:
    logging.getLogger("distributed").setLevel(logging.ERROR)  # ours says what there is to say
    settings: dict[str, Any] = {
        "distributed.worker.multiprocessing-method": "spawn",  # obstore does not survive a fork
        "distributed.comm.timeouts.connect": f"{HELLO_SECONDS}s",
        "distributed.nanny.pre-spawn-environ": _worker_environment(),
        # Nobody looks at what these find: there is no dashboard, and no log line of Dask's is shown.
        "distributed.worker.profile.enabled": False,
        "distributed.admin.tick.interval": "1s",
    }
    with dask.config.set(settings):
        if address is not None:
            _require_scheduler(address)
            with Client(address, timeout=RECONNECT_SECONDS, set_as_default=False) as client:
                yield client
            return
        processes = min(workers, os.cpu_count() or 1)
        with (
            LocalCluster(
                n_workers=processes,
                threads_per_worker=-(-workers // processes),
                dashboard_address="127.0.0.1:0",  # its own port may be another cluster's
                memory_limit=0,  # a worker is not to be ended for what its neighbours take
                silence_logs=logging.ERROR,
            ) as local,
            Client(local, timeout=RECONNECT_SECONDS, set_as_default=False) as client,
        ):
            yield client


def _worker_environment() -> dict[str, Any]:
    """Give what Dask sets for its workers, without what has malloc return memory as soon as it is free.

    Each block of samples is a third of a megabyte: it would be mapped and faulted in anew, for half as much CPU again.
    """
    given: dict[str, Any] = dask.config.get("distributed.nanny.pre-spawn-environ")
    return {name: value for name, value in given.items() if name != "MALLOC_TRIM_THRESHOLD_"}


def _require_scheduler(address: str) -> None:
    """Raise ClusterAway at once where no scheduler answers.

    A client tries for as long as for one to be back, and waits for ever for what listens there and says nothing, or
    speaks otherwise.
    """
    what = f"Dask scheduler answers at {address}"

    async def shake_hands() -> None:
        arguments = Security().get_connection_args("client")
        comm = await connect(address, timeout=CONNECT_SECONDS, **arguments)
        comm.abort()

    with ThreadPoolExecutor(1) as executor:  # this thread may have a loop of its own
        try:
            host, port = parse_host_port(parse_address(address)[1])
            socket.create_connection((host, port), timeout=CONNECT_SECONDS).close()
            executor.submit(asyncio.run, asyncio.wait_for(shake_hands(), CONNECT_SECONDS)).result()
        except TimeoutError as error:
            silence = OSError(f"it says nothing for {CONNECT_SECONDS:.0f} s, or is no scheduler")
            raise unreachable(what, silence) from error
        except (OSError, ValueError, TypeError) as error:  # TypeError: TLS that is not configured
            raise unreachable(what, error) from error


def _greet(client: Client, address: str | None) -> None:
    def ask() -> str:
        client.wait_for_workers(1, timeout=HELLO_SECONDS)
        version: str = _submit(client, worker_version).result(timeout=HELLO_SECONDS)
        return version

    waking = f"Start one: `dask worker {address or ''}`."
    require_same_stemline("Dask", address, ask, silent=(TimeoutError,), absent=(ImportError,), waking=waking)
