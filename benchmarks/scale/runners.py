"""Collecting by threads, by Dask and by Ray on one machine's cores: pace, and what an engine costs a track.

Four ways, in turn, each in processes of its own, over the same tracks: `threads` is the runner of one process, whose
threads share one interpreter lock; `processes` are as many plain processes of one thread, each with its part of the
tracks and with no engine between; `dask` and `ray` are as many worker processes. What an engine costs is told against
both, since against `threads` alone it hides behind what the lock costs these. The CPU of all processes counts, and
starting them does not.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import os
import statistics
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from multiprocessing.synchronize import Barrier
from pathlib import Path
from typing import Any

import psutil
from bench_collect import good, make_stems, tracks, vendor

from scale.collecting import FORMAT, collected
from scale.own_process import asked_figures, figures_of, load, verdict
from stemline.collector import CollectTarget
from stemline.collector.runners.opening import OpenRunner, opening_runner
from stemline.records import ReadyTrack

WAYS = ("threads", "processes", "dask", "ray")
SHARE_OF_THREADS = 0.85
MOST_OVERHEAD_MS = 5.0
WARM_TRACKS_A_WORKER = 6
IDLE_SECONDS = 3.0
IMPORT_SECONDS = 5.0


def add_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--tracks", type=int, default=400)
    parser.add_argument("--seconds", type=float, default=4.0, help="the length of each stem")
    parser.add_argument("--workers", type=int, default=4, help="worker processes, or threads")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--ways", nargs="+", choices=WAYS, default=WAYS)
    parser.add_argument(
        "--folder", type=Path, help="where stems are stored: a memory disk leaves the disk out"
    )


def measure(arguments: argparse.Namespace) -> None:
    stems = f"four {FORMAT} stems of {arguments.seconds:g} s"
    print(f"{arguments.tracks} tracks of {stems}, {arguments.workers} workers, {load()}")
    found: dict[str, list[dict[str, float]]] = defaultdict(list)
    with tempfile.TemporaryDirectory(dir=arguments.folder) as name, vendor(Path(name)):
        make_stems(Path(name), arguments.seconds, FORMAT)
        for number in range(arguments.rounds):
            for way in arguments.ways:
                given = {each: getattr(arguments, each) for each in ("tracks", "seconds", "workers")}
                figures = figures_of(__name__, **given, way=way, url=f"{name}/{way}-{number}")
                show(way, figures)
                found[way].append(figures)
    for engine in ("dask", "ray"):
        for plain in ("threads", "processes"):
            if found[engine] and found[plain]:
                compare(engine, plain, found)


def show(way: str, figures: dict[str, float]) -> None:
    count, wall, cpu = figures["tracks"], figures["wall"], figures["cpu"]
    print(
        f"  {way:9}  {count / wall:5.1f} tracks a second of wall on {cpu / wall:.2f} cores"
        f"   {count / cpu:5.1f} a second of CPU ({1000 * cpu / count:.1f} ms a track)"
        f"   started in {figures['start']:.1f} s, idle {1000 * figures['idle']:.0f} ms of CPU a second   {load()}",
        flush=True,
    )


def compare(engine: str, plain: str, found: dict[str, list[dict[str, float]]]) -> None:
    """Print the ratios of both over the rounds, of which each is a pair."""
    pairs = list(zip(found[engine], found[plain], strict=True))
    paces = [other["wall"] / one["wall"] for one, other in pairs]
    of_a_core = [other["cpu"] / one["cpu"] for one, other in pairs]
    overheads = [1000 * (one["cpu"] - other["cpu"]) / one["tracks"] for one, other in pairs]
    ratio, overhead = statistics.median(paces), statistics.median(overheads)
    print(
        f"{engine} to {plain}, median of {len(pairs)} pairs:"
        f" {ratio:.2f} of the pace ({min(paces):.2f} to {max(paces):.2f}),"
        f" {statistics.median(of_a_core):.2f} of the pace of a core, {overhead:.1f} ms of CPU more a track"
        f" ({min(overheads):.1f} to {max(overheads):.1f})"
    )
    if plain == "threads":
        print("  " + verdict(f"{engine}, share of the pace of threads", ratio, SHARE_OF_THREADS))
    else:
        print(
            "  "
            + verdict(
                f"{engine}, ms of CPU that a track costs more", overhead, MOST_OVERHEAD_MS, at_most=True
            )
        )


def tree_cpu_seconds() -> float:
    """Give the CPU of this process and of all that it has started, or that has been ended below it."""
    spent = 0.0
    for process in (psutil.Process(), *psutil.Process().children(recursive=True)):
        try:
            times = process.cpu_times()
        except psutil.NoSuchProcess:
            continue
        spent += times.user + times.system + times.children_user + times.children_system
    return spent


@contextmanager
def ready_workers(way: str, target: CollectTarget) -> Iterator[OpenRunner]:
    """Open a runner whose worker processes, one a place, have all imported what collecting needs."""
    with ExitStack() as stack:
        if way == "dask":
            import dask  # noqa: PLC0415 - an extra

            preload = {"distributed.worker.preload": ["stemline.collector.runners.worker"]}
            stack.enter_context(dask.config.set(preload))
            os.cpu_count = lambda: target.concurrency  # as many processes as on a machine of so many cores
        open_runner = stack.enter_context(opening_runner(way, None, target))
        if way == "ray":
            import ray  # noqa: PLC0415 - an extra

            ray.get([ray.remote(num_cpus=1)(import_slowly).remote() for _ in range(target.concurrency)])
        yield open_runner


def import_slowly() -> None:
    """Import what collecting needs, and last so long that no worker gets this twice."""
    import stemline.collector.runners.worker  # noqa: F401, PLC0415 - the point

    time.sleep(IMPORT_SECONDS)


def run_way(way: str, ready: Sequence[ReadyTrack], target: CollectTarget, warm: int) -> dict[str, float]:
    """Collect what is ready over a runner, once `warm` tracks of it have warmed up its workers."""
    began = time.perf_counter()
    with ready_workers(way, target) as open_runner, open_runner() as runner:
        good(collected(ready[:warm], runner))
        start = time.perf_counter() - began
        return {"start": start, **spent(lambda: good(collected(ready[warm:], runner)))}


def run_processes(ready: Sequence[ReadyTrack], target: CollectTarget, warm: int) -> dict[str, float]:
    """Deal the tracks out to as many plain processes of one thread."""
    workers, began = target.concurrency, time.perf_counter()
    context = multiprocessing.get_context("spawn")
    barrier = context.Barrier(workers + 1)
    running = [
        context.Process(
            target=collect_part,
            args=(ready[number:warm:workers], ready[warm + number :: workers], target.url, barrier),
        )
        for number in range(workers)
    ]
    for process in running:
        process.start()
    barrier.wait()
    start = time.perf_counter() - began
    idle = idle_cpu()
    before, started = tree_cpu_seconds(), time.perf_counter()
    barrier.wait()
    barrier.wait()
    wall = time.perf_counter() - started
    cpu = tree_cpu_seconds() - before
    barrier.wait()
    for process in running:
        process.join()
        if process.exitcode:
            sys.exit("A process did not collect its part.")
    return {"start": start, "wall": wall, "cpu": cpu, "idle": idle}


def collect_part(warm: Sequence[ReadyTrack], ready: Sequence[ReadyTrack], url: str, barrier: Barrier) -> None:
    target = CollectTarget(url, concurrency=1)
    with opening_runner("threads", None, target) as open_runner, open_runner() as runner:
        good(collected(warm, runner))
        barrier.wait()
        barrier.wait()
        good(collected(ready, runner))
        barrier.wait()
    barrier.wait()


def spent(work: Callable[[], object]) -> dict[str, float]:
    """Give the seconds that it takes, and the CPU seconds of all processes."""
    idle = idle_cpu()
    before, started = tree_cpu_seconds(), time.perf_counter()
    work()
    return {"wall": time.perf_counter() - started, "cpu": tree_cpu_seconds() - before, "idle": idle}


def idle_cpu() -> float:
    """Give the CPU seconds a second of all processes while there is nothing to do."""
    before = tree_cpu_seconds()
    time.sleep(IDLE_SECONDS)
    return (tree_cpu_seconds() - before) / IDLE_SECONDS


def main() -> dict[str, Any]:
    asked = asked_figures()
    warm = WARM_TRACKS_A_WORKER * asked["workers"]
    ready = tracks(asked["tracks"] + warm, asked["seconds"], FORMAT, with_music=True)
    target = CollectTarget(asked["url"], concurrency=asked["workers"])
    way = asked["way"]
    found = run_processes(ready, target, warm) if way == "processes" else run_way(way, ready, target, warm)
    return {"tracks": asked["tracks"], **found}


if __name__ == "__main__":
    print(json.dumps(main()))
