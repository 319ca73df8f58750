"""Collecting small stems: tracks a second of a core, verified, and what of it each stage takes; also within a run.

A web server in a process of its own stands for the vendor, and the kernel sends for it. The figures are of a process
that does nothing but collect, on one core unless told otherwise, with the runner of `execution.runner: threads`; the
shares by stage are of another one, since taking the time takes time.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import yaml
from bench_collect import good, make_stems, peak_mb, s3_server, tracks, vendor
from bench_pipeline import cpu_seconds, make_tracks

from scale.own_process import asked_figures, figures_of, load, verdict
from scale.stage_clock import STAGES, StageClock, store_thread_seconds
from stemline.collector import CollectResult, CollectTarget
from stemline.collector.pool import TrackRunner
from stemline.collector.pool import collecting as pooled
from stemline.collector.runners.thread_runner import thread_runner
from stemline.records import ReadyTrack
from stemline_local import ApiKey, ServiceOptions
from stemline_local.process import running_service

TRACKS_A_CORE_SECOND = 25.0
WARM_TRACKS = 8
FEW_TRACKS = 8
FORMAT = "flac"
KEY = "sk_live_bench"


def add_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--tracks", type=int, default=400)
    parser.add_argument("--seconds", type=float, default=4.0, help="the length of each stem")
    parser.add_argument("--workers", type=int, default=4, help="tracks collected at once")
    parser.add_argument(
        "--cores", type=int, default=1, help="that collecting may use, apart from a whole run"
    )
    parser.add_argument("--rounds", type=int, default=3)


def measure(arguments: argparse.Namespace) -> None:
    print(f"{arguments.tracks} tracks of four {FORMAT} stems of {arguments.seconds:g} s, {load()}")
    measure_places(arguments)
    measure_run(arguments)


def measure_places(arguments: argparse.Namespace) -> None:
    """Collect into a folder and into an S3 server, in turn."""
    with tempfile.TemporaryDirectory() as name, ExitStack() as servers:
        folder = Path(name)
        make_stems(folder, arguments.seconds, FORMAT)
        servers.enter_context(vendor(folder))
        s3_folder = servers.enter_context(tempfile.TemporaryDirectory())
        s3_options = servers.enter_context(s3_server(Path(s3_folder)))
        best: dict[str, float] = {}
        for number in range(arguments.rounds):
            places: dict[str, tuple[str, dict[str, Any]]] = {
                "folder": (f"{folder}/stored-{number}", {}),
                "s3": ("s3://bench/stems", s3_options),
            }
            for place, (url, options) in places.items():
                found = figures_of(__name__, **asked(arguments, url, options))
                best[place] = max(best.get(place, 0.0), show_place(place, found))
        for place, (url, options) in places.items():
            show_stages(place, figures_of(__name__, **asked(arguments, url, options), is_staged=True))
        for place, pace in best.items():
            print(verdict(f"tracks a second of CPU, {place}, best round", pace, TRACKS_A_CORE_SECOND))


def asked(arguments: argparse.Namespace, url: str, storage_options: dict[str, Any]) -> dict[str, Any]:
    given = {name: getattr(arguments, name) for name in ("tracks", "seconds", "workers", "cores")}
    return {**given, "url": url, "storage_options": storage_options}


def show_place(place: str, found: dict[str, Any]) -> float:
    """Print the figures of one round; give the tracks a second of CPU."""
    count = found["tracks"]
    cpu, wall = found["cpu"], found["wall"]
    print(
        f"  {place:6}  {count / cpu:5.1f} tracks a second of CPU ({1000 * cpu / count:.1f} ms a track)"
        f"   {count / wall:5.1f} of wall   peak {found['peak_mb']:.0f} MB, {found['base_mb']:.0f} before"
        f"   {load()}",
        flush=True,
    )
    return float(count / found["cpu"])


def show_stages(place: str, found: dict[str, Any]) -> None:
    cpu, count = found["cpu"], found["tracks"]
    spent = {**found["stages"], "obstore's threads": found["store_threads"]}
    spent["the rest"] += cpu - sum(spent.values())
    parts = (
        f"{stage} {100 * seconds / cpu:.0f} % ({1000 * seconds / count:.1f} ms)"
        for stage, seconds in spent.items()
        if seconds
    )
    print(f"  {place:6}  {1000 * cpu / count:.1f} ms a track while it is timed: {', '.join(parts)}")


def measure_run(arguments: argparse.Namespace) -> None:
    """Run the whole pipeline against the local service, which separates nothing."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        make_tracks(folder / "music", arguments.tracks, arguments.seconds)
        options = ServiceOptions(
            folder / "service",
            keys=(ApiKey(KEY, 10**9),),
            requests_per_minute=60_000,
            workers=2,
            max_running=20,
            engine="copy",
        )
        others = cpu_seconds(resource.RUSAGE_CHILDREN)
        with running_service(options) as service:
            config = configure(folder, service.api_url, arguments.workers)
            few, many = run(config, "--limit", str(FEW_TRACKS)), run(config)
        service_cpu = cpu_seconds(resource.RUSAGE_CHILDREN) - others - few["cpu"] - many["cpu"]
    show_run(few, many, service_cpu)


def configure(folder: Path, base_url: str, workers: int) -> Path:
    tree = {
        "name": "bench",
        "catalogue": {"manifest": str(folder / "music")},
        "provider": {"kind": "local", "base_url": base_url, "api_key": KEY, "requests_per_minute": 60_000},
        "recipe": {"stems": "four", "format": FORMAT},
        "dataset": {"url": str(folder / "dataset")},
        "ledger": {"url": f"sqlite:///{folder / 'bench.db'}"},
        "execution": {"workers": workers, "batch_seconds": 10},
    }
    config = folder / "bench.yaml"
    config.write_text(yaml.safe_dump(tree))
    return config


def run(config: Path, *options: str) -> dict[str, Any]:
    """Give what `stemline run` took and did."""
    stemline = str(Path(sys.executable).with_name("stemline"))
    command = [stemline, "run", str(config), "--json", "--yes", *options]
    before, started = cpu_seconds(resource.RUSAGE_CHILDREN), time.perf_counter()
    done = subprocess.run(command, check=False, capture_output=True, text=True)
    wall, cpu = time.perf_counter() - started, cpu_seconds(resource.RUSAGE_CHILDREN) - before
    summary = json.loads(done.stdout) if done.stdout else sys.exit(done.stderr)
    return {"wall": wall, "cpu": cpu, "tracks": summary["tracks"], "requests": summary["requests"]["sent"]}


def show_run(few: dict[str, Any], many: dict[str, Any], service_cpu: float) -> None:
    """Print what a run takes, and what a track more takes: the difference between a run of few and one of many."""
    count = many["tracks"]["published"] - few["tracks"]["published"]  # it tells of all rows
    cpu = (many["cpu"] - few["cpu"]) / (count - FEW_TRACKS)
    print(f"  a whole run: {many['tracks']}, {many['requests']} requests, {load()}")
    print(
        f"          {count / many['cpu']:5.1f} tracks a second of CPU, starting included"
        f"   {count / many['wall']:5.1f} of wall   a run of {FEW_TRACKS} takes {few['cpu']:.1f} s of CPU"
    )
    print(
        f"          {1 / cpu:.1f} a second, {1000 * cpu:.1f} ms of CPU for each track more, with upload, submit,"
        " booking, comparing the stems' sum with its source, and publishing;"
        f" the service's own are apart: {service_cpu:.1f} s"
    )


def collected(ready: Sequence[ReadyTrack], runner: TrackRunner) -> list[CollectResult]:
    """Give what came of each track, in the order in which it came."""
    results = []
    with pooled(iter(ready), runner) as pool:
        while not pool.is_over:
            if (finished := pool.take()) is not None:
                results.append(finished[1])
    return results


def collect(
    tracks_to: int, seconds: float, target: CollectTarget, *, is_staged: bool = False
) -> dict[str, Any]:
    """Collect so many tracks in this process; a few before them warm it up."""
    ready = tracks(tracks_to + WARM_TRACKS, seconds, FORMAT, with_music=True)
    clock = StageClock()
    if is_staged:
        clock.watch_collecting()
    base_mb = peak_mb()
    with thread_runner(target) as runner:
        good(collected(ready[:WARM_TRACKS], runner))
        clock.reset()
        before, threads, started = time.process_time(), store_thread_seconds(), time.perf_counter()
        good(collected(ready[WARM_TRACKS:], runner))
        return {
            "tracks": tracks_to,
            "wall": time.perf_counter() - started,
            "cpu": time.process_time() - before,
            "store_threads": store_thread_seconds() - threads,
            "stages": clock.seconds if is_staged else dict.fromkeys(STAGES, 0.0),
            "peak_mb": peak_mb(),
            "base_mb": base_mb,
        }


if __name__ == "__main__":
    wanted = asked_figures()
    os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[: wanted["cores"]])
    place = CollectTarget(wanted["url"], wanted["storage_options"], concurrency=wanted["workers"])
    found = collect(wanted["tracks"], wanted["seconds"], place, is_staged=wanted.get("is_staged", False))
    print(json.dumps(found))
