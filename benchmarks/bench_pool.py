"""How long collecting takes with one slow track among many: pushed as they come, and batch by batch.

python benchmarks/bench_pool.py --tracks 400 --slow 2
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime

from stemline.collector.pool import collecting
from stemline.collector.runners.thread_runner import ThreadRunner
from stemline.dispatcher import ReadyQueue
from stemline.records import Attempt, CollectedTrack, Job, Phase, ReadyTrack, Recipe, Track

RECIPE = Recipe("both", "fast", "flac")
SECONDS = 0.02
"""How long every other track takes."""
THREADS = 4
BATCH = 100


def make_ready(number: int) -> ReadyTrack:
    track = Track(f"t{number}", f"/music/{number}.wav", number)
    return ReadyTrack(Attempt(f"token-{number}", track, RECIPE, "local", 1, 1), Job(str(number), Phase.DONE))


def make_collect(slow: float) -> Callable[[ReadyTrack], CollectedTrack]:
    """Give what takes as long as a download: the first track is the slow one."""

    def collect(ready: ReadyTrack) -> CollectedTrack:
        time.sleep(slow if slow and ready.attempt.track.position == 0 else SECONDS)
        return CollectedTrack(ready.attempt.token, (), None, None, None, None, datetime.now(UTC))

    return collect


def time_pool(tracks: int, slow: float) -> float:
    queue, runner = ReadyQueue(), ThreadRunner(make_collect(slow), THREADS)
    for number in range(tracks):
        queue.put(make_ready(number))
    queue.close()
    started = time.monotonic()
    with collecting(queue.tracks(), runner) as pool:
        while not pool.is_over:
            pool.take()
    runner.close()
    return time.monotonic() - started


def time_batches(tracks: int, slow: float) -> float:
    collect, started = make_collect(slow), time.monotonic()
    ready = [make_ready(number) for number in range(tracks)]
    for first in range(0, tracks, BATCH):
        with ThreadPoolExecutor(THREADS) as pool:
            list(pool.map(collect, ready[first : first + BATCH]))
    return time.monotonic() - started


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--tracks", type=int, default=400)
    parser.add_argument("--slow", type=float, default=1.5, help="seconds that one track takes")
    asked = parser.parse_args()
    for name, run in (("pool", time_pool), (f"batches of {BATCH}", time_batches)):
        plain, held_up = run(asked.tracks, 0.0), run(asked.tracks, asked.slow)
        print(
            f"{name}: {plain:.2f} s, with one slow track {held_up:.2f} s ({100 * (held_up / plain - 1):+.0f} %)"
        )


if __name__ == "__main__":
    main()
