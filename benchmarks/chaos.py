"""Random schedules of faults and kills over real runs, and what was paid, lost and published after each.

    python benchmarks/chaos.py 200 [SEED]      or: make chaos N=200 SEED=1
    python benchmarks/chaos.py --only 1-17     one schedule again, told in full
    python benchmarks/chaos.py 200 --runner dask     tracks collected by workers of Dask that are killed, too
    python benchmarks/chaos.py 200 --postgresql      all ledgers in PostgreSQL, as where runs are on several machines
    python benchmarks/chaos.py 200 --large           what is next in line is sent before the manifest is read again

A schedule is a catalogue of four to six tiny tracks, up to five kinds of faults of the local service, up to four runs
that are killed at a named or at any moment, in part two at once on two keys, and in part the service is killed, too.
Then the faults are lifted and everybody finishes. Exits 1 when anything was paid twice, lost or published twice.
"""

from __future__ import annotations

import argparse
import os
import queue
import shutil
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

TESTS = Path(__file__).resolve().parents[1] / "tests"
sys.path[:0] = [str(TESTS), str(TESTS / "faults")]

from schedule import draw_schedule  # noqa: E402 - found by the line above
from schedule_run import ScheduleRun, ScheduleRunner  # noqa: E402
from support.command_line import open_launcher  # noqa: E402
from support.dask_workers import dask_workers  # noqa: E402
from support.faulty_vendor import running_vendor  # noqa: E402
from support.large_catalogue import LARGE  # noqa: E402
from support.postgresql import new_schema, running_postgresql  # noqa: E402
from support.scenario import make_tiny_songs  # noqa: E402

LANES = 2 * (os.cpu_count() or 2)
"""Schedules at once: most of the time they wait."""
PROGRESS_EVERY = 100
WORKER_KILLED_EVERY = 10.0
"""Seconds between two deaths of Dask workers, about."""
SPEED = 0.15
"""Seconds a job takes per second of audio: tracks are then in many states when a run is killed."""
POSTGRESQL_EVERY = 4
"""Every so many schedules keep their ledger in PostgreSQL."""


@dataclass
class Tally:
    """What all schedules came to."""

    schedules: int = 0
    kills: Counter[str] = field(default_factory=Counter)
    struck: Counter[str] = field(default_factory=Counter)
    states: Counter[str] = field(default_factory=Counter)
    violations: Counter[str] = field(default_factory=Counter)
    bad: list[str] = field(default_factory=list)
    """Seeds of schedules that came to harm."""
    on_postgresql: int = 0

    def add(self, run: ScheduleRun) -> None:
        """Take a schedule in that was examined."""
        self.schedules += 1
        self.on_postgresql += run.scenario.project.database is not None
        self.kills.update(run.kills)
        self.struck.update(run.struck)
        self.states.update(run.findings.states)
        self.violations.update(run.findings.violations)
        if self.schedules % PROGRESS_EVERY == 0:
            print(f"{self.schedules} schedules, {len(self.bad)} came to harm", flush=True)
        if not run.findings.is_clean:
            self.fail(run.schedule.seed, str(run.findings))

    def fail(self, seed: str, reason: str) -> None:
        """Take note of a schedule that came to harm."""
        self.bad.append(seed)
        print(f"violation at --only {seed}: {reason}", flush=True)

    def show(self, seconds: float) -> None:
        """Print all of it."""
        print(f"\n{self.schedules} schedules in {seconds:.0f} s, {self.on_postgresql} of them on PostgreSQL")
        print(
            f"{self.kills.total()} kills, {self.struck.total()} faults struck, tracks {dict(self.states)}\n"
        )
        for title, counts in (
            ("killed at", self.kills),
            ("struck by", self.struck),
            ("violations", self.violations),
        ):
            print(title)
            for what, count in counts.most_common():
                print(f"  {count:6}  {what}")


@contextmanager
def runners(
    folder: Path, asked: argparse.Namespace, lanes: int
) -> Iterator[tuple[queue.Queue[ScheduleRunner], str]]:
    """Give a vendor for every lane, and the PostgreSQL server they share."""
    with ExitStack() as stack:
        launcher = stack.enter_context(open_launcher(folder))
        songs = make_tiny_songs(folder / "music")
        execution, environment = {}, {LARGE: "yes"} if asked.large else {}
        if asked.runner == "dask":
            address = stack.enter_context(dask_workers(killed_every=WORKER_KILLED_EVERY))
            execution = {"runner": "dask", "address": address}
        free: queue.Queue[ScheduleRunner] = queue.Queue()
        for lane in range(lanes):
            vendor = stack.enter_context(running_vendor(folder / f"vendor-{lane}", speed=SPEED))
            free.put(ScheduleRunner(launcher, songs, vendor, execution, environment))
        yield free, stack.enter_context(running_postgresql())


def run_all(seeds: list[str], asked: argparse.Namespace) -> Tally:
    """Carry out the schedules of these seeds, several at once."""
    tally, lanes = Tally(), min(asked.lanes, len(seeds))
    every = 1 if asked.postgresql else POSTGRESQL_EVERY
    with tempfile.TemporaryDirectory() as name, runners(Path(name), asked, lanes) as (free, server):

        def carry_out(number: int, seed: str) -> None:
            lane, folder = free.get(), Path(name) / seed
            try:
                is_shared = number % every == 0
                run = lane.prepare(draw_schedule(seed), folder, new_schema(server) if is_shared else None)
                run.carry_out()
                tally.add(run)
                if asked.only:
                    print(run.schedule, run.kills, run.struck, run.findings, sep="\n")
            except Exception as error:  # noqa: BLE001 - one schedule that breaks must not end the others
                tally.violations["schedules that broke"] += 1
                tally.fail(seed, repr(error))
            finally:
                shutil.rmtree(folder, ignore_errors=True)
                free.put(lane)

        with ThreadPoolExecutor(lanes) as pool:
            try:
                list(pool.map(carry_out, range(len(seeds)), seeds))
            except KeyboardInterrupt:
                pool.shutdown(cancel_futures=True)
                print("interrupted: these are the schedules that were examined")
    return tally


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("count", type=int, nargs="?", default=200)
    parser.add_argument("seed", type=int, nargs="?", default=1)
    parser.add_argument("--only", help="carry out this one schedule")
    parser.add_argument("--runner", choices=["threads", "dask"], default="threads")
    parser.add_argument("--postgresql", action="store_true")
    parser.add_argument("--large", action="store_true")
    parser.add_argument("--lanes", type=int, default=LANES)
    asked = parser.parse_args()
    seeds = [asked.only] if asked.only else [f"{asked.seed}-{number}" for number in range(asked.count)]
    started = time.monotonic()
    tally = run_all(seeds, asked)
    tally.show(time.monotonic() - started)
    return int(bool(tally.bad))


if __name__ == "__main__":
    sys.exit(main())
