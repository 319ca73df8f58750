"""The whole pipeline over many tiny tracks, or over a folder of music: rate, requests, CPU, memory, the engine's share.

    python benchmarks/bench_pipeline.py --tracks 500 --seconds 2
    python benchmarks/bench_pipeline.py --music FOLDER --limit 20

The service runs beside this process and has its own CPU figures; the pipeline's are this process's.
"""

from __future__ import annotations

import argparse
import resource
import sqlite3
import tempfile
import time
from contextlib import closing
from datetime import timedelta
from pathlib import Path

import numpy as np
import yaml
from ledger_size import sqlite_bytes

from flows import start
from stemline import audio
from stemline.clock import utc_now
from stemline.ledger import open_ledger
from stemline_local import ApiKey, ServiceOptions
from stemline_local.process import running_service

SAMPLE_RATE = 22_050
KEY = "sk_live_bench"


def make_tracks(folder: Path, count: int, seconds: float) -> None:
    rng = np.random.default_rng(1)
    folder.mkdir(parents=True)
    clock = np.arange(int(seconds * SAMPLE_RATE)) / SAMPLE_RATE
    for number in range(count):
        pitch = 110 * 2 ** (rng.integers(0, 24) / 12)
        tone = 0.3 * np.sin(2 * np.pi * pitch * clock) + 0.02 * rng.standard_normal(len(clock))
        samples = np.stack([tone, tone], axis=1).astype(np.float32)
        audio.encode(folder / f"track-{number:05}.flac", samples, SAMPLE_RATE, "flac")


def configure(folder: Path, music: Path, base_url: str, workers: int) -> Path:
    config = folder / "bench.yaml"
    tree = {
        "name": "bench",
        "catalogue": {"manifest": str(music)},
        "provider": {"kind": "local", "base_url": base_url, "api_key": KEY, "requests_per_minute": 60_000},
        "recipe": {"stems": "four", "format": "flac"},
        "dataset": {"url": str(folder / "dataset")},
        "ledger": {"url": f"sqlite:///{folder / 'bench.db'}"},
        "execution": {"batch_seconds": 10, "workers": workers},
    }
    config.write_text(yaml.safe_dump(tree))
    return config


def show_ledger(path: Path, published: int) -> None:
    """Print what the ledger takes for a published track, now and when all that it may forget is forgotten."""
    with open_ledger(f"sqlite:///{path.with_name('empty.db')}") as empty:
        nothing = sqlite_bytes(empty)
    with open_ledger(f"sqlite:///{path}", clock=lambda: utc_now() + timedelta(days=100)) as ledger:
        written = sqlite_bytes(ledger) - nothing
        ledger.retention.forget_events(90)
    with closing(sqlite3.connect(path)) as file:
        file.execute("VACUUM")
    with open_ledger(f"sqlite:///{path}") as ledger:
        lasting = sqlite_bytes(ledger) - nothing
    print(
        f"ledger             {written / published:.0f} bytes a track, {lasting / published:.0f} after 90 days"
    )


def cpu_seconds(who: int) -> float:
    usage = resource.getrusage(who)
    return usage.ru_utime + usage.ru_stime


def measure(folder: Path, music: Path, workers: int, limit: int | None) -> None:
    options = ServiceOptions(
        folder=folder / "service",
        keys=(ApiKey(KEY, 10**9),),
        requests_per_minute=60_000,
        workers=workers,
    )
    with running_service(options) as service:
        config = configure(folder, music, service.api_url, workers)
        before, started = cpu_seconds(resource.RUSAGE_SELF), time.perf_counter()
        result = start("process_catalogue", config=str(config), limit=limit)
        wall = time.perf_counter() - started
        pipeline = cpu_seconds(resource.RUSAGE_SELF) - before
    engine = cpu_seconds(resource.RUSAGE_CHILDREN)
    show(result, wall, pipeline, engine, workers)
    show_ledger(folder / "bench.db", result.summary["tracks"]["published"])


def show(result: object, wall: float, pipeline: float, engine: float, workers: int) -> None:
    summary = result.summary  # type: ignore[attr-defined] # start() gives what the flow returns
    done = summary["tracks"].get("published", 0)
    audio_seconds = summary["credits"]["charged"]
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(
        f"tracks published   {done} in {wall:.1f} s, {60 * done / wall:.0f} a minute; states {summary['tracks']}"
    )
    print(f"audio              {audio_seconds} s, {audio_seconds / wall:.1f} x real time")
    print(f"requests           {summary['requests']}")
    print(
        f"pipeline CPU       {pipeline:.1f} s, {1000 * pipeline / max(done, 1):.0f} ms a track; peak {peak:.0f} MB"
    )
    print(
        f"service CPU        {engine:.1f} s with start-up, {100 * engine / (engine + pipeline):.0f} % of all"
    )
    print(f"engine lanes       {100 * engine / (wall * workers):.0f} % of the wall time of {workers} lanes")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--tracks", type=int, default=500)
    parser.add_argument("--seconds", type=float, default=2.0)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--music", type=Path, help="a folder of audio to use instead")
    parser.add_argument("--limit", type=int)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        music = arguments.music or folder / "music"
        if arguments.music is None:
            make_tracks(music, arguments.tracks, arguments.seconds)
        measure(folder, music, arguments.workers, arguments.limit)


if __name__ == "__main__":
    main()
