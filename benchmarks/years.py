"""Simulated years with a seed: what happened in all of them together, and every year in which something was wrong.

python benchmarks/years.py 100 SEED
"""

from __future__ import annotations

import sys
import tempfile
from collections import Counter
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))
sys.path.insert(0, str(Path(__file__).parents[1] / "tests" / "nights"))

from year import year_run
from year_plan import draw_year


def main(years: int, seed: str) -> None:
    """Carry them out one after another."""
    counts, wrong = Counter[str](), 0
    with tempfile.TemporaryDirectory(prefix="stemline-years-") as folder:
        for number in range(years):
            year = draw_year(f"{seed}-{number}")
            with year_run(year, Path(folder) / "year") as run:
                try:
                    run.carry_out()
                except AssertionError as error:
                    wrong += 1
                    print(f"the year of seed {year.seed!r}: {error}", flush=True)
                counts += Counter({"nights": run.number + 1}) + run.counts + run.books.counts
    print(f"{years} years, in {wrong} of them something was wrong")
    for what, count in sorted(counts.items()):
        print(f"{count:>7,}  {what}")


if __name__ == "__main__":
    main(int(sys.argv[1]), sys.argv[2])
