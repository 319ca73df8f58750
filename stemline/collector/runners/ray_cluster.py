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
    RayError,
    RayTaskError,
    RuntimeEnvSetupError,
    TaskCancelledError,
    WorkerCrashedError,
)

import stemline
from stemline.collector.runners.cluster_runner import Done, WorkerDied
from stemline.collector.runners.worker import collect_in_worker, worker_version
from stemline.errors import ClusterAway

HELLO_SECONDS = 60.0
"""How long a cluster may take until one of its workers answers."""
_DIED = (WorkerCrashedError, NodeDiedError, ObjectLostError, OutOfMemoryError, TaskCancelledError)


class RayCluster:
    """A driver of a Ray cluster. A track is a task of one CPU, tried again by Ray when its worker dies."""

    def __init__(self) -> None:
        """Use the cluster that this process is connected to."""
        self._collect = ray.remote(num_cpus=1, max_retries=0)(collect_in_worker)
        self._references: set[Any] = set()

    def call(self, target: bytes, ready: bytes, done: Done) -> None:
        """Have a worker collect a track."""
        try:
            reference = self._collect.remote(target, ready)
        except RayError as error:
            raise _away(error) from error
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
        elif isinstance(error, RayError):
            done(_away(error))
        else:
            done(error)


@contextmanager
def ray_cluster(address: str | None, workers: int) -> Iterator[RayCluster]:
    """Give the cluster at an address, or one of so many processes on this machine, for the length of a `with` block.

    Raises ClusterAway when no worker answers, or when what answers is another stemline.
    """
    ray_worker._worker_logs_enabled = False  # noqa: SLF001 - no public switch keeps Ray's words out of stdout
    if ray.is_initialized():  # who uses stemline from within Ray has a cluster already
        _greet(address)
        yield from _used()
        return
    try:
        ray.init(
            address=address or "local",
            log_to_driver=False,
            logging_level=logging.ERROR,
            configure_logging=False,
            **({} if address else {"num_cpus": workers, "include_dashboard": False}),
        )
    except (ConnectionError, RuntimeError, ValueError, TimeoutError) as error:
        raise ClusterAway(
            f"No Ray cluster answers at {address or 'this machine'}: {error}.",
            fix="Check execution.address, or leave it away for workers on this machine.",
        ) from error
    try:
        _greet(address)
        yield from _used()
    finally:
        ray.shutdown()


def _used() -> Iterator[RayCluster]:
    cluster = RayCluster()
    try:
        yield cluster
    finally:
        cluster.close()


def _greet(address: str | None) -> None:
    """Have a worker say which stemline it has; raises ClusterAway where none answers, or another one does."""
    where = f"The Ray workers at {address}" if address else "The Ray workers"
    hello = ray.remote(num_cpus=1)(worker_version).remote()
    try:
        found = ray.get(hello, timeout=HELLO_SECONDS)
    except GetTimeoutError as error:
        raise ClusterAway(f"{where} do not answer.", fix="See `ray status`: no CPU may be free.") from error
    except (RayTaskError, RuntimeEnvSetupError, ImportError) as error:
        raise ClusterAway(
            f"{where} have no stemline.", fix=f"Install stemline {stemline.__version__} there."
        ) from error
    if found != stemline.__version__:
        raise ClusterAway(
            f"{where} have stemline {found}, and this is {stemline.__version__}.",
            fix="Install the same there.",
        )


def _away(error: Exception) -> ClusterAway:
    return ClusterAway(
        f"The Ray cluster is gone: {error}.",
        fix="Run again once it is there: what is paid is collected then.",
    )
