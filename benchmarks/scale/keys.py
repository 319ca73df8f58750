"""Dispatching with many keys on the virtual clock: CPU, memory, requests, and a hundred million tracks on paper.

The dispatchers, the client, the pacer and the ledger are the real ones; the clock jumps and the vendors live in the
process (`tests/support/simulation`). Left out is what sockets and TLS take. Each size is a process of its own.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import time
import tracemalloc
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "tests"))

from ledger_size import sqlite_bytes
from support.simulation import Scenario, SimulationResult, VendorBehaviour, simulate
from support.simulation.vendor import API_URL, TRACK_SECONDS, RateWindow, SimulatedAccount

from stemline.ledger import Ledger, open_ledger

BENCHMARKS = Path(__file__).resolve().parents[1]
MEMORY = Path("/dev/shm")  # noqa: S108 - only the kind of file system matters
SIZES = (10_000, 100_000, 1_000_000)
"""Tracks that wait in the ledger; as many of them are sent as the minutes allow."""
TRACKS_A_MINUTE = 31
"""What a key could take of the ledger at most, at two requests a track."""
STEADY_FROM = 300.0
"""The first jobs have come back."""
MOST_OF_A_CORE, MOST_KEYS = 0.20, 10
LEAST_SHARE = 0.97
FLAT = 1.10
"""So much more memory at a hundred times the tracks still counts as flat."""
CATALOGUE = 100_000_000
STEM_BYTES = {"flac": 265_000, "mp3": 92_000}
"""Four stems of one second of music, as `bench_collect.py` has stored them."""
KEPT_AT_LAST = 2_200
"""Bytes of a published track once its events are forgotten: see docs/performance.md, small nights."""
SAMPLE = 10_000


def add_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--keys", type=int, default=10)
    parser.add_argument("--minutes", type=float, default=60.0, help="on the virtual clock; a day has 1440")
    parser.add_argument("--tracks", type=int, nargs="+", help=f"planned in the ledger; default: {SIZES}")
    parser.add_argument("--dialect", choices=("stemsplit", "aistemsplitter"), default="stemsplit")
    parser.add_argument("--webhooks", action="store_true")
    parser.add_argument("--folder", type=Path, help="where the ledgers lie; default: the memory disk")


@dataclass(frozen=True)
class Figures:
    """What one size came to, in a process of its own."""

    planned: int
    minutes: float
    """Until the last request."""
    tracks: int
    jobs: int
    sent: int
    refused: int
    share: float
    """Of the granted requests, once the first jobs have come back."""
    tracks_a_minute: float
    """From then on."""
    wall_seconds: float
    cpu_seconds: float
    vendor_cpu_seconds: float
    collector_cpu_seconds: float
    planning_cpu_seconds: float
    begin_mb: float
    """Resident once all is planned and nothing is sent."""
    peak_mb: float
    """At most from then on."""
    vendor_mb: float
    """What the vendors' own books are taken to have of it."""
    planned_bytes: int
    """The ledger, before anything is sent."""
    ledger_bytes: int

    @property
    def of_a_core(self) -> float:
        """What the dispatchers took of a core in a virtual second."""
        return (self.cpu_seconds - self.vendor_cpu_seconds - self.collector_cpu_seconds) / (60 * self.minutes)

    @property
    def cpu_ms(self) -> float:
        """What the dispatchers took for a track."""
        return 60_000 * self.of_a_core / self.tracks_a_minute

    @property
    def bytes_grown(self) -> float:
        """What a track that was sent adds to the ledger, beside its row from planning; nearly all are collected."""
        return (self.ledger_bytes - self.planned_bytes) / self.jobs


def measure(arguments: argparse.Namespace) -> None:
    behaviour = VendorBehaviour(dialect=arguments.dialect, has_webhooks=arguments.webhooks)
    base = Scenario(behaviour, keys=arguments.keys, minutes=arguments.minutes)
    print(f"{base.keys} keys at {behaviour.requests_per_minute} requests a minute, {base.minutes:g} minutes")
    found = []
    for size in arguments.tracks or _sizes(arguments):
        found.append(_measure_alone(replace(base, tracks=size), arguments.folder))
        print(*_lines(found[-1], base), sep="\n", flush=True)
    _judge(found, base)
    print(*_paper(found[-1], base), sep="\n")


def _sizes(arguments: argparse.Namespace) -> list[int]:
    """Give the usual sizes, or as many tracks as the keys may take where that is more."""
    needed = int(arguments.keys * arguments.minutes * TRACKS_A_MINUTE)
    return list(SIZES) if needed <= max(SIZES) else [needed]


def _lines(found: Figures, base: Scenario) -> Iterator[str]:
    granted = _granted(base)
    yield (
        f"{found.planned:,} planned: {found.tracks:,} tracks in {found.minutes:.1f} min, granted {granted:,} a minute, "
        f"sent {found.sent / found.minutes:,.1f} 429s: {found.refused}; "
        f"once steady {found.share:.1%} of it, {found.tracks_a_minute:,.1f} tracks a minute, "
        f"{_requests_a_track(found, base):.3f} requests a track"
    )
    yield (
        f"    CPU: dispatchers {found.of_a_core:.1%} of a core "
        f"({found.cpu_ms:.1f} ms a track), "
        f"vendors {found.vendor_cpu_seconds:.1f} s, booking what is collected {found.collector_cpu_seconds:.1f} s, "
        f"planning {found.planning_cpu_seconds:.1f} s; a virtual minute takes "
        f"{found.wall_seconds / found.minutes:.2f} s"
    )
    yield (
        f"    memory: {found.begin_mb:.0f} MB planned, {found.peak_mb:.0f} MB at most while dispatching, of which the "
        f"vendors' books {found.vendor_mb:.0f} MB; ledger: {found.planned_bytes / found.planned:,.0f} bytes a planned "
        f"track, {found.bytes_grown:,.0f} more when it is collected"
    )


def _granted(base: Scenario) -> int:
    return base.keys * base.behaviour.requests_per_minute


def _requests_a_track(found: Figures, base: Scenario) -> float:
    return _granted(base) * found.share / found.tracks_a_minute


def _judge(found: list[Figures], base: Scenario) -> None:
    most = max(each.of_a_core for each in found)
    allowed = MOST_OF_A_CORE * base.keys / MOST_KEYS
    print(f"CPU {most:.1%} of a core <= {allowed:.0%} for {base.keys} keys: {_verdict(most <= allowed)}")
    least = min(each.share for each in found)
    refused = sum(each.refused for each in found)
    print(f"share of the granted rate {least:.1%} >= {LEAST_SHARE:.0%}, no 429: ", end="")
    print(_verdict(least >= LEAST_SHARE and not refused))
    if len(found) > 1:
        grown = found[-1].peak_mb / found[0].peak_mb
        print(f"memory at {found[-1].planned:,} tracks {grown:.2f} x that at {found[0].planned:,}: ", end="")
        print(_verdict(grown <= FLAT))


def _verdict(is_met: bool) -> str:  # noqa: FBT001 - what is told is the argument
    return "met" if is_met else "MISSED"


def _paper(found: Figures, base: Scenario) -> Iterator[str]:
    """Give what a hundred million tracks would take, by these figures."""
    yield f"On paper, {CATALOGUE:,} tracks of {TRACK_SECONDS} s with {base.keys} keys, by these figures:"
    minutes = CATALOGUE / found.tracks_a_minute
    yield f"    {minutes / 1440:,.0f} days, {1440 * found.tracks_a_minute:,.0f} tracks a day"
    yield f"    {CATALOGUE * _requests_a_track(found, base):,.0f} requests"
    yield f"    {CATALOGUE * TRACK_SECONDS:,} credits, one a second of music"
    planned = found.planned_bytes / found.planned
    begin, most, last = (
        CATALOGUE * each / 1e9 for each in (planned, planned + found.bytes_grown, KEPT_AT_LAST)
    )
    yield (
        f"    ledger: {begin:,.0f} GB planned, {most:,.0f} GB with all events, "
        f"{last:,.0f} GB once they are forgotten"
    )
    for form, each in STEM_BYTES.items():
        stored = CATALOGUE * TRACK_SECONDS * each
        yield (
            f"    stems, {form}: {stored / 1e15:,.1f} PB, {stored / (60 * minutes) / 1e6:,.0f} MB a second"
        )
    yield f"    CPU of the dispatchers: {found.of_a_core:.1%} of a core"


def _measure_alone(scenario: Scenario, folder: Path | None) -> Figures:
    """Give the figures of one scenario, from a process of its own."""
    behaviour = {"dialect": scenario.behaviour.dialect, "has_webhooks": scenario.behaviour.has_webhooks}
    facts = {"keys": scenario.keys, "minutes": scenario.minutes, "tracks": scenario.tracks}
    told = json.dumps({"behaviour": behaviour, "facts": facts, "folder": str(folder) if folder else None})
    done = subprocess.run(
        [sys.executable, "-m", "scale.keys", told], cwd=BENCHMARKS, check=True, stdout=subprocess.PIPE
    )
    return Figures(**json.loads(done.stdout))


def _simulate_here(told: str) -> Figures:
    """Simulate in this process, and give what it needed."""
    facts = json.loads(told)
    scenario = Scenario(VendorBehaviour(**facts["behaviour"]), **facts["facts"])
    begin: dict[str, float] = {}

    def on_planned(ledger: Ledger) -> None:
        begin.update(bytes=sqlite_bytes(ledger), cpu=time.process_time(), wall=time.perf_counter())
        begin["mb"] = _megabytes("VmRSS")
        Path("/proc/self/clear_refs").write_text("5")  # the peak is counted from here

    place = facts["folder"] or (MEMORY if MEMORY.is_dir() else None)
    with tempfile.TemporaryDirectory(dir=place) as folder:
        result = simulate(scenario, Path(folder), on_planned)
        wall = time.perf_counter() - begin["wall"]
        peak = _megabytes("VmHWM")
        with open_ledger(f"sqlite:///{folder}/scene.db") as ledger:
            size = sqlite_bytes(ledger)
    return _figures(scenario, result, {**begin, "wall": wall, "peak": peak, "size": size})


def _figures(scenario: Scenario, result: SimulationResult, found: dict[str, float]) -> Figures:
    end = max(times[-1] for times in result.granted)
    steady = (min(STEADY_FROM, end / 2), end)
    return Figures(
        planned=scenario.tracks,
        minutes=end / 60,
        tracks=result.tracks,
        jobs=result.jobs,
        sent=sum(map(len, result.granted)),
        refused=result.refused,
        share=result.share(*steady),
        tracks_a_minute=result.tracks_per_minute(*steady),
        wall_seconds=found["wall"],
        cpu_seconds=result.cpu_seconds,
        vendor_cpu_seconds=result.vendor_cpu_seconds,
        collector_cpu_seconds=result.collector_cpu_seconds,
        planning_cpu_seconds=found["cpu"],
        begin_mb=found["mb"],
        peak_mb=found["peak"],
        vendor_mb=result.jobs_kept * _bytes_of_a_job() / 1e6,
        planned_bytes=int(found["bytes"]),
        ledger_bytes=int(found["size"]),
    )


def _bytes_of_a_job() -> float:
    """Give what one job takes in an account's books."""
    account = SimulatedAccount(0, RateWindow(60, "sliding"), None)
    tracemalloc.start()
    for number in range(SAMPLE):
        account.make_job(f"{API_URL}/{number:020}.flac", TRACK_SECONDS, 150.0, float(number))
    taken = tracemalloc.get_traced_memory()[0] / len(account.jobs)
    tracemalloc.stop()
    return taken


def _megabytes(name: str) -> float:
    """Give a figure of this process's memory, by its name in /proc."""
    return int(Path("/proc/self/status").read_text().partition(f"{name}:")[2].split()[0]) / 1024


if __name__ == "__main__":
    print(json.dumps(_simulate_here(sys.argv[1]).__dict__))
