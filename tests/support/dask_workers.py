"""A Dask cluster of this machine that many runs share, and workers of it that are killed."""

from __future__ import annotations

import random
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import psutil
from distributed import LocalCluster

WORKERS = 2


@contextmanager
def dask_workers(*, killed_every: float | None = None, seed: int = 1) -> Iterator[str]:
    """Give the address of a cluster; every so many seconds one of its workers is killed, and replaced."""
    with LocalCluster(
        n_workers=WORKERS,
        threads_per_worker=2,
        dashboard_address="127.0.0.1:0",
        memory_limit=0,
        host="127.0.0.1",
    ) as cluster:
        is_over = threading.Event()
        killer = threading.Thread(target=_kill, args=(cluster, killed_every, seed, is_over), daemon=True)
        if killed_every is not None:
            killer.start()
        try:
            yield cluster.scheduler_address
        finally:
            is_over.set()
            if killer.is_alive():
                killer.join()


def _kill(cluster: LocalCluster, every: float, seed: int, is_over: threading.Event) -> None:
    """Kill workers one by one, each once the one before it is replaced: there is always somebody who works."""
    chance = random.Random(seed)  # noqa: S311 - repeatable, no secret
    while not is_over.wait(chance.uniform(0.5, 1.5) * every):
        if len(cluster.scheduler.workers) == WORKERS and (workers := _workers()):
            chance.choice(workers).kill()


def _workers() -> list[psutil.Process]:
    """Give the workers of this process; beside them it has a process that keeps count of what they share."""
    return [child for child in psutil.Process().children(recursive=True) if _is_worker(child)]


def _is_worker(process: psutil.Process) -> bool:
    try:
        return "spawn_main" in " ".join(process.cmdline())
    except psutil.NoSuchProcess:  # it has ended meanwhile, or is about to
        return False
