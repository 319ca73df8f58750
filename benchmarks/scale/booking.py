"""The ledger's one writer at a time: what keys and the outcomes of workers need of its lock, and when it gives.

Machines are processes (`scale/ledger_load.py`). First the keys work as fast as they can, then all outcomes are booked
at once, then both come at the pace of the keys while one batch is published. What a track holds the lock for, all its
verbs together, says at how many keys it would be held all the time.
"""

from __future__ import annotations

import argparse
import multiprocessing
import sys
import tempfile
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from operator import attrgetter
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "tests"))

from support.postgresql import new_schema, running_postgresql

from scale.ledger_load import BATCH_TRACKS, PHASES, TRACKS_A_SECOND, Load, LoadResult, Lock, work

WORKER_SECONDS = 1.0
"""What collecting a track takes a worker at least: a second of a core, by `bench_collect.py`."""
MOST_OF_THE_LOCK = 0.5
LONGEST_WAIT = 1.0
"""Seconds that a paid request may wait for the lock: a key's next turn."""
SUBMITTING, BOOKING, PACED = range(len(PHASES))


def add_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--keys", type=int, default=10, help="over all machines")
    parser.add_argument("--workers", type=int, default=100, help="over all machines")
    parser.add_argument("--machines", type=int, nargs="+", default=[1], help="one count after another")
    parser.add_argument(
        "--postgresql", action="store_true", help="a server that waits for the disk, not SQLite"
    )
    parser.add_argument("--seconds", type=float, default=20.0, help="of the first and the last phase")
    parser.add_argument("--tracks", type=int, default=20_000, help="planned by each run, the same ones")
    parser.add_argument("--round-trip-ms", type=float, default=0.0, help="to a server that is elsewhere")


def measure(arguments: argparse.Namespace) -> None:
    kind = "PostgreSQL" if arguments.postgresql else "SQLite"
    for machines in arguments.machines:
        print(
            f"{kind}, {arguments.keys} keys on {machines} machines, {arguments.round_trip_ms:g} ms a round trip"
        )
        with ExitStack() as stack:
            folder = stack.enter_context(tempfile.TemporaryDirectory())
            url = f"sqlite:///{folder}/ledger.db"
            if arguments.postgresql:
                url = new_schema(stack.enter_context(running_postgresql(is_durable=True)))
            loads = [
                Load(
                    url,
                    folder,
                    number,
                    len(range(number, arguments.keys, machines)),
                    arguments.seconds,
                    arguments.tracks,
                    arguments.round_trip_ms / 1000,
                )
                for number in range(machines)
            ]
            found = _work_together(loads)
        for number, results in enumerate(zip(*found, strict=True)):
            print(*_lines(PHASES[number][0], results), sep="\n")
        _judge(list(zip(*found, strict=True)), arguments)


def _work_together(loads: Sequence[Load]) -> list[list[LoadResult]]:
    """Have each machine work in a process of its own; give each one's phases."""
    context = multiprocessing.get_context("spawn")
    barrier, answers = context.Barrier(len(loads)), context.SimpleQueue()
    processes = [context.Process(target=work, args=(load, barrier.wait, answers.put)) for load in loads]
    for process in processes:
        process.start()
    found = [answers.get() for _ in processes]
    for process in processes:
        process.join()
    return found


def _lines(name: str, results: Sequence[LoadResult]) -> Iterator[str]:
    seconds = max(each.seconds for each in results)
    tracks, locks = sum(each.tracks for each in results), [lock for each in results for lock in each.locks]
    cpu = sum(each.cpu_seconds for each in results)
    statements = sum(each.statements for each in results)
    yield (
        f"  {name}: {tracks:,} tracks in {seconds:.1f} s: {tracks / seconds:.1f} a second, "
        f"{len(locks) / seconds:.0f} transactions a second, the lock held {_held(results):.0%} of the time"
    )
    yield (
        f"    a track: {statements / max(1, tracks):.0f} statements, {1000 * cpu / max(1, tracks):.1f} ms of CPU; "
        f"reserved by others first: {sum(each.conflicts for each in results)}"
    )
    by_verb = defaultdict(list)
    for lock in locks:
        by_verb[lock.verb].append(lock)
    for verb, some in by_verb.items():
        yield (
            f"    {verb:18} {len(some):6}  waits {_spread([each.waited for each in some])}  "
            f"holds {_spread([each.held for each in some])}  of which CPU {_spread([each.cpu for each in some])} ms"
        )


def _spread(values: Sequence[float]) -> str:
    """Give the median, the 99th of a hundred and the most, in milliseconds."""
    found = sorted(1000 * value for value in values)
    return f"{found[len(found) // 2]:.1f} / {found[int(0.99 * len(found))]:.1f} / {found[-1]:.1f}"


def _held(results: Sequence[LoadResult]) -> float:
    held = sum(lock.held for each in results for lock in each.locks)
    return held / max(each.seconds for each in results)


def _judge(phases: Sequence[Sequence[LoadResult]], arguments: argparse.Namespace) -> None:
    booked = phases[BOOKING]
    seconds_booking = max(each.seconds for each in booked)
    outcomes, needed = (
        sum(each.tracks for each in booked) / seconds_booking,
        arguments.workers / WORKER_SECONDS,
    )
    for name, of_lock in (("in all", attrgetter("held")), ("in CPU alone", attrgetter("cpu"))):
        with_key, with_outcome = (_a_track(phases[number], of_lock) for number in (SUBMITTING, BOOKING))
        print(
            f"  {name} a track holds the lock {1000 * with_key:.1f} ms with its key, {1000 * with_outcome:.1f} ms with "
            f"its outcome: all the time at {1 / (with_key + with_outcome) / TRACKS_A_SECOND:.0f} keys"
        )
    print(
        f"  outcomes {outcomes:.0f} a second >= {needed:.0f}, {arguments.workers} workers at once: ", end=""
    )
    print(_verdict(outcomes >= needed))
    paced = phases[PACED]
    most = max(lock.waited for each in paced for lock in each.locks if lock.verb == "mark_sending")
    share = _held(paced)
    print(f"  at the keys' pace the lock is held {share:.0%} <= {MOST_OF_THE_LOCK:.0%} of the time: ", end="")
    print(_verdict(share <= MOST_OF_THE_LOCK))
    print(
        f"  a paid request waits {most:.2f} s <= {LONGEST_WAIT:g} s at most ({BATCH_TRACKS} published): ",
        end="",
    )
    print(_verdict(most <= LONGEST_WAIT))


def _a_track(results: Sequence[LoadResult], of_lock: Callable[[Lock], float]) -> float:
    """Give the seconds that the lock is held for a track of a phase."""
    return sum(of_lock(lock) for each in results for lock in each.locks) / sum(
        each.tracks for each in results
    )


def _verdict(is_met: bool) -> str:  # noqa: FBT001 - what is told is the argument
    return "met" if is_met else "MISSED"
