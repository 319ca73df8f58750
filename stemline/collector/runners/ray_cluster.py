"""The workers of a Ray cluster: one that runs already, or processes of this machine for the length of a run."""

from __future__ import annotations

import logging
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any

# Ray tells its makers of each use unless it is told not to, and looks for accelerators that nothing here needs.
os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
os.environ.setdefault("RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO", "0")

import ray
from ray._private import worker as ray_worker
from ray.exceptions import (
    GetTimeoutError,
    NodeDiedError,
    ObjectLostError,
    OutOfMemoryError,
    RayTaskError,
    RuntimeEnvSetupError,
    TaskCancelledError,
    WorkerCrashedError,
)

from stemline.collector.runners.cluster_runner import Done, WorkerDied
from stemline.collector.runners.cluster_words import gone, require_same_stemline, unreachable
from stemline.collector.runners.worker import collect_in_worker, worker_version

HELLO_SECONDS = 60.0
"""How long a cluster may take until one of its workers answers."""
CONNECT_TRIES = 3
"""A head forks a server for each client; where gRPC's fork handlers end that one, it says so after half a minute."""
NO_CLIENT_SERVER = (
    "Start the head with GRPC_ENABLE_FORK_SUPPORT=0 in its environment: it could not start a server for this client. "
    "Its ray_client_server_*.err files say more."
)
_DIED = (WorkerCrashedError, NodeDiedError, ObjectLostError, OutOfMemoryError, TaskCancelledError)


class RayCluster:
    """A driver of a Ray cluster. A track is a task of one CPU, which Ray does not try again by itself."""

    def __init__(self) -> None:
        """Use the cluster that this process is connected to."""
        self._collect = ray.remote(num_cpus=1, max_retries=0)(collect_in_worker)
        self._references: set[Any] = set()

    def call(self, target: bytes, ready: bytes, done: Done) -> None:
        """Have a worker collect a track."""
        try:
            reference = self._collect.remote(target, ready)
        except Exception as error:  # a client raises whatever its connection did
            raise gone("Ray cluster", error) from error
        self._references.add(reference)
        reference.future().add_done_callback(lambda ended: self._end(reference, ended, done))

    def close(self) -> None:
        """Let go of what is in hand; what has begun ends by itself."""
        for reference in list(self._references):
            with suppress(Exception):  # the cluster may be gone
                ray.cancel(reference)
        self._references.clear()

    def _end(self, reference: Any, ended: Any, done: Done) -> None:  # noqa: ANN401 - Ray's own
        self._references.discard(reference)
        error = ended.exception()
        if error is None:
            done(ended.result())
        elif isinstance(error, _DIED):
            done(WorkerDied(str(error)))
        elif isinstance(error, RayTaskError):
            done(error.cause or error)
        else:  # Ray's own, or of a client's connection
            done(gone("Ray cluster", error))


@contextmanager
def ray_cluster(address: str | None, workers: int) -> Iterator[RayCluster]:
    """Give the cluster at an address, or one of so many processes on this machine, for the length of a `with` block.

    Raises ClusterAway when no worker answers, or when what answers is another stemline.
    """
    logging.getLogger("ray").setLevel(logging.ERROR)  # ours says what there is to say
    ray_worker._worker_logs_enabled = False  # noqa: SLF001 - no public switch keeps Ray's words out of stdout
    if ray.is_initialized():  # who uses stemline from within Ray has a cluster already
        _greet(address)
        yield RayCluster()
        return
    _connect(address, workers)
    try:
        _greet(address)
        yield RayCluster()
    finally:
        ray.shutdown()


def _connect(address: str | None, workers: int) -> None:
    where = f"Ray cluster answers at {address or 'this machine'}"
    for tries_left in reversed(range(CONNECT_TRIES)):
        try:
            ray.init(
                address=address or "local",
                log_to_driver=False,
                logging_level=logging.ERROR,
                configure_logging=False,
                **({} if address else {"num_cpus": workers, "include_dashboard": False}),
            )
        except ConnectionAbortedError as error:
            if not tries_left:
                raise unreachable(where, error, NO_CLIENT_SERVER) from error
        except (ConnectionError, RuntimeError, ValueError, TimeoutError) as error:
            raise unreachable(where, error) from error
        else:
            return


def _greet(address: str | None) -> None:
    def ask() -> str:
        hello = ray.remote(num_cpus=1)(worker_version).remote()
        version: str = ray.get(hello, timeout=HELLO_SECONDS)
        return version

    require_same_stemline(
        "Ray",
        address,
        ask,
        silent=(GetTimeoutError,),
        absent=(RayTaskError, RuntimeEnvSetupError, ImportError),
        waking="See `ray status`: no CPU may be free.",
    )
