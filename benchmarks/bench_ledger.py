"""The ledger under a large catalogue: planning, finding work, and the three verbs of a submit.

python benchmarks/bench_ledger.py --tracks 200000
python benchmarks/bench_ledger.py --tracks 200000 --url postgresql+psycopg://…
"""

from __future__ import annotations

import argparse
import resource
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from stemline.budget import Limits
from stemline.ledger import Ledger, open_ledger
from stemline.records import Recipe, Submission, Track

BATCH = 10_000
RECIPE = Recipe("four", "best", "flac")


def batches(count: int) -> Iterator[list[Track]]:
    for start in range(0, count, BATCH):
        rows = range(start, min(start + BATCH, count))
        yield [Track(f"track-{n:08}", f"s3://music/{n:08}.flac", n, duration_seconds=180.0) for n in rows]


def plan(ledger: Ledger, run_id: str, count: int) -> float:
    started = time.perf_counter()
    for batch in batches(count):
        ledger.tracks.plan(run_id, batch)
    return count / (time.perf_counter() - started)


def submit(ledger: Ledger, run_id: str, count: int) -> float:
    started = time.perf_counter()
    for number, track in enumerate(ledger.tracks.next_planned(run_id, count)):
        token = f"token-{number}"
        ledger.attempts.reserve(run_id, track, token, 180, Limits(run=10**9))
        ledger.attempts.mark_sending(token)
        ledger.attempts.record_submission(token, Submission(f"job-{number}", credits_required=180))
    return 1000 * (time.perf_counter() - started) / count


def look(ledger: Ledger) -> float:
    """Give the milliseconds of the quickest of five."""
    took = []
    for _ in range(5):
        started = time.perf_counter()
        ledger.gauges.read("bench")
        took.append(1000 * (time.perf_counter() - started))
    return min(took)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--tracks", type=int, default=200_000)
    parser.add_argument("--url", help="default: a SQLite file in a temporary folder")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        url = arguments.url or f"sqlite:///{Path(name) / 'bench.db'}"
        with open_ledger(url) as ledger:
            run_id = ledger.runs.start("bench", "local", RECIPE, "digest")
            print(f"new tracks      {plan(ledger, run_id, arguments.tracks):,.0f} rows/s")
            print(f"known tracks    {plan(ledger, run_id, arguments.tracks):,.0f} rows/s")
            started = time.perf_counter()
            ledger.tracks.next_planned(run_id, 200)
            print(f"next 200        {1000 * (time.perf_counter() - started):.1f} ms")
            print(
                f"a whole submit  {submit(ledger, run_id, 500):.1f} ms (reserve, mark_sending, record_submission)"
            )
            print(f"one look        {look(ledger):.0f} ms (all that status and /metrics show)")
    print(f"peak memory     {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024:.0f} MB")


if __name__ == "__main__":
    main()
