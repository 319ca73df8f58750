"""The runner that a configuration names."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from importlib.util import find_spec
from typing import TYPE_CHECKING, TypeAlias

from stemline.collector.target import CollectTarget
from stemline.errors import UsageError

if TYPE_CHECKING:
    from stemline.collector.pool import TrackRunner
    from stemline.collector.runners.cluster_runner import Cluster, ClusterRunner

NEEDED = {"dask": "distributed", "ray": "ray"}

OpenRunner: TypeAlias = "Callable[[], AbstractContextManager[TrackRunner]]"


def check_runner(name: str) -> None:
    """Raise UsageError where what a runner needs is not installed."""
    if name in NEEDED and find_spec(NEEDED[name]) is None:
        raise UsageError(
            f"execution.runner {name} needs {NEEDED[name]}, which is not installed.",
            fix=f"pip install 'stemline[{name}]'.",
        )


@contextmanager
def opening_runner(name: str, address: str | None, target: CollectTarget) -> Iterator[OpenRunner]:
    """Have a runner's workers stand ready for the length of a `with` block, and give what opens it.

    What is at work when the runner closes is cut off; the workers may outlive it. Raises ClusterAway when they are
    not there.
    """
    if name == "threads":
        from stemline.collector.runners.thread_runner import thread_runner  # noqa: PLC0415

        yield lambda: thread_runner(target)
        return
    with _cluster(name, address, target.concurrency) as cluster:
        yield lambda: _cluster_runner(cluster, target)


def _cluster(name: str, address: str | None, workers: int) -> AbstractContextManager[Cluster]:
    if name == "dask":
        from stemline.collector.runners.dask_cluster import dask_cluster  # noqa: PLC0415 - an extra

        return dask_cluster(address, workers)
    from stemline.collector.runners.ray_cluster import ray_cluster  # noqa: PLC0415 - an extra

    return ray_cluster(address, workers)


@contextmanager
def _cluster_runner(cluster: Cluster, target: CollectTarget) -> Iterator[ClusterRunner]:
    from stemline.collector.runners.cluster_runner import ClusterRunner  # noqa: PLC0415 - not to check a name

    runner = ClusterRunner(cluster, target)
    try:
        yield runner
    finally:
        runner.close()
        cluster.close()
