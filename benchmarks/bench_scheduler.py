"""The request scheduler by simulation: its share of the rate, requests a track, the finish, keys, memory and CPU.

    python benchmarks/bench_scheduler.py           a few minutes
    python benchmarks/bench_scheduler.py --full    with catalogues of up to 100,000 tracks: an hour and more

The dispatchers, the client, the pacer and the ledger are the real ones; the clock jumps, and the vendors live in this
process (see `tests/support/simulation`). Jobs take 150 s, 30 % more or less. A row that misses its target says so.
"""

from __future__ import annotations

import argparse
import json
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterable
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path

TESTS = Path(__file__).resolve().parents[1] / "tests"
sys.path.insert(0, str(TESTS))

from support.simulation import Scenario, SimulationResult, VendorBehaviour, simulate  # noqa: E402 - found by the line above

STEADY_SECONDS = (300.0, 2_100.0)
"""Thirty minutes, once the first jobs have come back."""
STEADY_TRACKS = 1_300
TRACKS_PER_KEY = 400
PROCESSES = 3
MEMORY = Path("/dev/shm")  # noqa: S108 - only the kind of file system matters
QUICK_SIZES = (1_000, 2_000)
FULL_SIZES = (1_000, 10_000, 100_000)
UPLOADS = {False: "URL", True: "upload"}
DIALECTS = ("stemsplit", "aistemsplitter")
MOST_REQUESTS = {
    ("stemsplit", False): 2.1,
    ("stemsplit", True): 3.1,
    ("aistemsplitter", False): 2.6,
    ("aistemsplitter", True): 3.6,
}
"""A finished track, bpm and key wanted, no webhooks."""
MOST_WHEN_CALLED = {False: 2.02, True: 3.02}


@dataclass(frozen=True)
class Row:
    """One scenario of the table, and the target it is held against."""

    name: str
    scenario: Scenario
    read: Callable[[SimulationResult], float]
    target: float
    is_least: bool
    """Whether the target is a least figure, or a most."""

    def show(self, result: SimulationResult) -> str:
        """Give the row with what it came to."""
        figure = self.read(result)
        is_met = figure >= self.target if self.is_least else figure <= self.target
        is_met = is_met and result.refused == 0
        bound = f"{'>=' if self.is_least else '<='} {self.target:g}"
        lag = result.lags()[result.tracks // 2]
        verdict = "" if is_met else "  MISS"
        return f"{self.name:58} {figure:7.3f}  {bound:8} {result.refused:4d}  {lag:5.0f} s{verdict}"


def read_share(result: SimulationResult) -> float:
    return result.share(*STEADY_SECONDS)


def read_requests(result: SimulationResult) -> float:
    return result.requests_per_track


def read_finish(result: SimulationResult) -> float:
    return result.finish() / result.seconds


def share_rows(base: Scenario) -> Iterable[Row]:
    """Jobs slower than the window, so that the rate alone is what limits."""
    for dialect in DIALECTS:
        for window, has_webhooks in (("sliding", False), ("sliding", True), ("fixed", False)):
            behaviour = replace(base.behaviour, dialect=dialect, window=window, has_webhooks=has_webhooks)
            scenario = replace(base, behaviour=behaviour, tracks=STEADY_TRACKS)
            name = f"share of the rate, {dialect}, {window}{', webhooks' * has_webhooks}"
            yield Row(name, scenario, read_share, 0.97, is_least=True)


def request_rows(base: Scenario) -> Iterable[Row]:
    for dialect in DIALECTS:
        for is_upload, how in UPLOADS.items():
            for has_webhooks in (False, True):
                behaviour = replace(base.behaviour, dialect=dialect, has_webhooks=has_webhooks)
                scenario = replace(base, behaviour=behaviour, is_upload=is_upload)
                most = MOST_WHEN_CALLED[is_upload] if has_webhooks else MOST_REQUESTS[dialect, is_upload]
                name = f"requests a track, {dialect}, {how}{', webhooks' * has_webhooks}"
                yield Row(name, scenario, read_requests, most, is_least=False)


def read_pace(result: SimulationResult) -> float:
    return result.tracks_per_minute(*STEADY_SECONDS)


def stuck_rows(base: Scenario) -> Iterable[Row]:
    """What one job that never ends costs: requests a track, and tracks a minute."""
    kinds = {
        "no": base,
        "a new": replace(base, behaviour=replace(base.behaviour, stuck=1)),
        "an old": replace(base, is_stuck_of_before=True),
    }
    for name, scenario in kinds.items():
        yield Row(f"requests a track, {name} stuck job", scenario, read_requests, 2.13, is_least=False)
        steady = replace(scenario, tracks=STEADY_TRACKS)
        yield Row(f"tracks a minute, {name} stuck job", steady, read_pace, 27.5, is_least=True)


def finish_rows(base: Scenario) -> Iterable[Row]:
    """How long after the vendor's last job we end, as a share of the whole time."""
    kinds = {
        "": base.behaviour,
        ", 2 % stragglers": replace(base.behaviour, tail_share=0.02),
        ", 40 jobs at once": replace(base.behaviour, max_running=40),
    }
    for name, behaviour in kinds.items():
        scenario = replace(base, behaviour=behaviour)
        yield Row(f"finish, share of all time{name}", scenario, read_finish, 0.05, is_least=False)


def simulate_in_memory(scenario: Scenario) -> SimulationResult:
    """Simulate where writing is fast: no virtual figure depends on the disk."""
    with tempfile.TemporaryDirectory(dir=MEMORY if MEMORY.is_dir() else None) as folder:
        return simulate(scenario, Path(folder))


def show_rows(rows: list[Row]) -> None:
    print(f"{'':58} {'figure':>7}  {'target':8} 429s  lag (median)")
    with ProcessPoolExecutor(PROCESSES) as pool:
        for row, result in zip(
            rows, pool.map(simulate_in_memory, [row.scenario for row in rows]), strict=True
        ):
            print(row.show(result), flush=True)


def show_keys(base: Scenario) -> None:
    """Tracks a minute over the whole catalogue, by how many keys share it."""
    scenarios = [replace(base, keys=keys, tracks=TRACKS_PER_KEY * keys) for keys in (1, 2, 4)]
    with ProcessPoolExecutor(PROCESSES) as pool:
        paces = [60 * result.tracks / result.seconds for result in pool.map(simulate_in_memory, scenarios)]
    for scenario, pace in zip(scenarios, paces, strict=True):
        print(
            f"{scenario.keys} keys, as many tracks each: {pace:6.1f} tracks a minute, {pace / paces[0]:.2f} x"
        )


def show_sizes(sizes: Iterable[int], base: Scenario) -> None:
    """Peak memory and CPU of one process per catalogue size, the simulated vendor's share included."""
    for size in sizes:
        command = [sys.executable, __file__, "--alone", str(size), "--max-in-flight", str(base.max_in_flight)]
        found = json.loads(subprocess.run(command, check=True, capture_output=True).stdout)
        share = found["cpu_seconds"] / size * found["tracks_per_minute"] / 60
        print(
            f"{size:7,} tracks: peak {found['peak_mb']:.0f} MB (imports {found['imports_mb']:.0f}),"
            f" {1000 * found['cpu_seconds'] / size:.1f} ms CPU a track: {share:.1%} of a core at"
            f" {found['tracks_per_minute']:.1f} tracks a minute",
            flush=True,
        )


def simulate_alone(scenario: Scenario) -> None:
    """Print what this process needed for one scenario."""
    imports, cpu = peak_mb(), time.process_time()
    with tempfile.TemporaryDirectory() as folder:
        result = simulate(scenario, Path(folder))
    found = {
        "imports_mb": imports,
        "peak_mb": peak_mb(),
        "cpu_seconds": time.process_time() - cpu,
        "tracks_per_minute": 60 * result.tracks / result.seconds,
    }
    print(json.dumps(found))


def peak_mb() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--full", action="store_true")
    parser.add_argument("--tracks", type=int, default=1_000, help="of a row that is about a whole catalogue")
    parser.add_argument("--max-in-flight", type=int, default=Scenario().max_in_flight)
    parser.add_argument("--job-seconds", type=float, default=150.0)
    parser.add_argument("--alone", type=int, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    behaviour = VendorBehaviour(job_seconds=arguments.job_seconds)
    base = Scenario(behaviour, arguments.alone or arguments.tracks, max_in_flight=arguments.max_in_flight)
    if arguments.alone:
        simulate_alone(base)
        return
    print(f"at most {base.max_in_flight} tracks in flight")
    show_rows([row for rows in (share_rows, request_rows, stuck_rows, finish_rows) for row in rows(base)])
    show_keys(base)
    show_sizes(FULL_SIZES if arguments.full else QUICK_SIZES, base)


if __name__ == "__main__":
    main()
