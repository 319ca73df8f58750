"""Stemline against `stemsplit-python` on the same service at the same time, in real time.

    python benchmarks/bench_peer.py --minutes 14

Each thread pool of the peer and each `stemline run` has a key of its own (60 requests a minute), the same small song
by URL, jobs of 150 s, and no limit on running jobs. The peer polls every 5 s, its default. By itself it gives a track
up after four refusals in a row; a patient pool has a loop of ours around it that repeats the call. The last pool also
polls as rarely as `--rarely` says, which its users must find out for themselves.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from pathlib import Path

from benchmarks.race.pool import Pool
from benchmarks.race.run import OwnRun
from benchmarks.race.stage import REQUESTS_PER_MINUTE, serving_jobs, serving_song
from stemline.settings.section import ProviderSettings

POLL_SECONDS = 5.0
PATIENT = (1, 2, 4, 8, 16, 32)
AS_IT_IS = (4, 8, 16, 32)
USUAL_IN_FLIGHT = ProviderSettings.model_fields["max_in_flight"].default
TRACKS_PER_MINUTE = 40
"""More than one key can have finished."""
SETTLED_SECONDS = 60.0
"""How long after its first job could be done a runner is in its steady state."""


class Race:
    """All runners, and the clock they are measured by."""

    def __init__(self, arguments: argparse.Namespace, folder: Path, base_url: str) -> None:
        self.seconds, self.job_seconds = 60 * arguments.minutes, arguments.job_seconds
        names = iter(keys(arguments))
        self.pools = [
            Pool(threads, poll, is_patient, base_url, key := next(names), folder / key)
            for threads, poll, is_patient in pools(arguments)
        ]
        self.runs = [
            OwnRun(folder / (key := next(names)), base_url, key, most) for most in arguments.max_in_flight
        ]
        self.begin = 0.0
        self.cpu_shares: list[float] = []
        self.memory: list[list[float]] = []
        self.warm_up = min(self.job_seconds + SETTLED_SECONDS, 0.7 * self.seconds)

    def hold(self, song_url: str) -> None:
        """Let everybody run for the same time."""
        for run in self.runs:
            run.start(song_url, int(TRACKS_PER_MINUTE * self.seconds / 60))
        while not all(run.is_under_way() for run in self.runs):
            time.sleep(0.1)
        self.begin = time.time()
        for pool in self.pools:
            pool.start(song_url)
        self._watch()
        for pool in self.pools:
            pool.is_over.set()
        for run in self.runs:
            run.interrupt()
        for run in self.runs:
            run.keep_result()

    def _watch(self) -> None:
        """Sleep to the end, and measure the CPU and memory of our runs over the steady part."""
        time.sleep(self.warm_up)
        before, began = [run.cpu_so_far() for run in self.runs], time.time()
        self.memory.append([run.memory_mb() for run in self.runs])
        time.sleep(max(0.0, self.begin + self.seconds - time.time()))
        elapsed = time.time() - began
        self.cpu_shares = [
            (run.cpu_so_far() - cpu) / elapsed for run, cpu in zip(self.runs, before, strict=True)
        ]
        self.memory.append([run.memory_mb() for run in self.runs])

    def paces(self, finished: list[float]) -> tuple[float, float]:
        """Give the tracks a minute over the whole time and over its steady part."""
        end = self.begin + self.seconds
        done = [moment for moment in finished if moment <= end]
        steady = [moment for moment in done if moment > self.begin + self.warm_up]
        return 60 * len(done) / self.seconds, 60 * len(steady) / (self.seconds - self.warm_up)


def pools(arguments: argparse.Namespace) -> list[tuple[int, float, bool]]:
    """Give threads, poll interval and patience of each pool of the peer."""
    usual = [(threads, POLL_SECONDS, False) for threads in AS_IT_IS]
    return [
        *usual,
        *((threads, POLL_SECONDS, True) for threads in PATIENT),
        (PATIENT[-1], arguments.rarely, True),
    ]


def keys(arguments: argparse.Namespace) -> list[str]:
    count = len(pools(arguments)) + len(arguments.max_in_flight)
    return [f"sk_live_runner{number:02}" for number in range(count)]


def show(race: Race) -> None:
    print(f"{'runner':43} finished  tracks/min  steady  requests/track  429s  lost")
    for pool in race.pools:
        counts = (pool.requests, pool.refused, pool.lost)
        show_row(f"stemsplit-python, {pool.name}", race, pool.finished, counts)
        for error in sorted(set(pool.errors))[:3]:
            print(f"    {pool.errors.count(error)} x {error[:120]}")
    for run in race.runs:
        requests = run.result.get("requests", {})
        counts = (requests.get("sent", 0), requests.get("rejected", 0), 0)
        show_row(f"stemline, max_in_flight {run.max_in_flight}", race, run.times("record_collected"), counts)
    usual = race.pools[:-1]
    for label, part in (("whole", 0), ("steady", 1)):
        own = max(race.paces(run.times("record_collected"))[part] for run in race.runs)
        alone, patient = (
            own / max(race.paces(pool.finished)[part] for pool in usual if pool.is_patient is kind)
            for kind in (False, True)
        )
        rarely = own / race.paces(race.pools[-1].finished)[part]
        print(
            f"ratio, {label:6}  {alone:.1f} x its best pool as it is, {patient:.1f} x patient, {rarely:.1f} x rarely"
        )
    for number, run in enumerate(race.runs):
        show_own(race, run, number)


def show_row(name: str, race: Race, finished: list[float], counts: tuple[int, int, int]) -> None:
    whole, steady = race.paces(finished)
    per_track = counts[0] / len(finished) if finished else float("nan")
    figures = (
        f"{len(finished):8d}  {whole:10.2f}  {steady:6.2f}  {per_track:14.2f}  {counts[1]:4d}  {counts[2]:4d}"
    )
    print(f"{name:43} {figures}")


def show_own(race: Race, run: OwnRun, number: int) -> None:
    spent = run.times("mark_sending") + run.times("record_ready")
    whole, steady = (pace / REQUESTS_PER_MINUTE for pace in race.paces(spent))
    before, after = (peaks[number] for peaks in race.memory)
    print(f"stemline, max_in_flight {run.max_in_flight}")
    print(f"  share of the granted rate in submits and details   {whole:.1%} whole, {steady:.1%} steady")
    print(f"  CPU in the steady part                             {race.cpu_shares[number]:.1%} of a core")
    print(f"  peak memory after warm-up, and at the end          {before:.0f} MB, {after:.0f} MB")
    if "requests" not in run.result:
        print(f"  no result: {run.result}")


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--minutes", type=float, default=14)
    parser.add_argument("--job-seconds", type=float, default=150)
    parser.add_argument("--rarely", type=float, default=50, help="the last pool's poll interval in seconds")
    parser.add_argument(
        "--max-in-flight", type=int, nargs="+", default=[USUAL_IN_FLIGHT], help="a run for each"
    )
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as name:
        folder = Path(name)
        (folder / "music").mkdir()
        with (
            serving_song(folder / "music") as song_url,
            serving_jobs(folder / "service", keys(arguments), arguments.job_seconds) as service,
        ):
            race = Race(arguments, folder, service.api_url)
            race.hold(song_url)
            show(race)


if __name__ == "__main__":
    main()
