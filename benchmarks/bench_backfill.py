"""A year's backfill beside nightly runs, on the virtual clock: limits, order, who goes first, nothing paid twice.

python benchmarks/bench_backfill.py --tracks 100000 --days 365 --nightly 200
python benchmarks/bench_backfill.py --tracks 5000 --days 365 --nightly 20 --dialect aistemsplitter

Real runs, lanes, leases, dispatchers and budgets over a real ledger; the vendor and the clock are simulated
(`tests/support/backfill_year`). What must not be ends it with an AssertionError that names the instant. What the ledger
itself takes for a large backfill: `bench_backfill_ledger.py`.
"""

from __future__ import annotations

import argparse
import logging
import resource
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from statistics import median

from bench_nights import size_of

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))
from support.backfill_year import BackfillYear, YearFigures, YearRun, draw_backfill_year

from stemline.ledger import open_ledger

TOLD_DAYS = 10


def lines(year: BackfillYear, figures: YearFigures) -> Iterator[str]:
    waits, nights = figures.waits, figures.nights
    yield f"{year.tracks:,} tracks of the backfill, {figures.orders:,} in all, {year.dialect}, seed {year.seed}"
    yield f"virtual days {figures.days:.1f}, wall {figures.wall_seconds:,.0f} s, CPU {time.process_time():,.0f} s"
    yield f"runs {figures.runs}, processes killed {figures.killed}, requests refused {figures.refused}"
    yield f"busiest minute {figures.busiest_minute} requests of 60"
    yield f"requests of the backfill, of those granted to its share in minutes it sent any: {figures.rate_share:.1%}"
    yield "how near each limit came: " + ", ".join(
        f"{name} {share:.1%}" for name, share in figures.closest.items()
    )
    yield f"nightly runs waited for the key: median {median(waits):.1f} s, at most {max(waits):.1f} s"
    yield f"nightly runs took: median {median(nights) / 60:.1f} min, at most {max(nights) / 60:.1f} min"
    yield f"reservations out of order: {len(figures.out_of_order)} {figures.out_of_order[:3]}"
    for made, early, late, end in figures.forecasts:
        yield f"forecast {made}: ends on day {early:.2f} to {late:.2f}; ended on day {end:.2f}"
    yield f"peak memory {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024:.0f} MB"


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--tracks", type=int, default=100_000, help="of the backfill")
    parser.add_argument("--days", type=int, default=365)
    parser.add_argument("--nightly", type=int, default=200, help="new tracks a night")
    parser.add_argument("--kills", type=int, default=24)
    parser.add_argument("--dialect", choices=["stemsplit", "aistemsplitter"], default="stemsplit")
    parser.add_argument("--seed", type=int, default=1)
    asked = parser.parse_args()
    logging.getLogger("stemline").setLevel(logging.ERROR)
    year = draw_backfill_year(
        asked.seed,
        asked.dialect,
        tracks=asked.tracks,
        days=asked.days,
        nightly=asked.nightly,
        kills=asked.kills,
    )
    began = time.perf_counter()

    def tell(day: int, orders: int) -> None:
        if day % TOLD_DAYS == 0:
            print(
                f"day {day}: {orders:,} orders, {time.perf_counter() - began:,.0f} s",
                file=sys.stderr,
                flush=True,
            )

    with tempfile.TemporaryDirectory() as folder:
        for line in lines(year, YearRun(year, Path(folder), tell).carry_out()):
            print(line, flush=True)
        with open_ledger(f"sqlite:///{folder}/ledger.db") as ledger:
            print(f"ledger {size_of(ledger) / 1e6:,.0f} MB")


if __name__ == "__main__":
    main()
