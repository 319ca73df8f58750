"""A large backfill in the ledger: freezing it, beginning a run of it, the next tracks as it goes on, its progress.

python benchmarks/bench_backfill_ledger.py --rows 100000
python benchmarks/bench_backfill_ledger.py --rows 1000000
python benchmarks/bench_backfill_ledger.py --rows 100000 --postgresql

Tracks are made published in bulk: what is measured is what a run asks of the ledger, and not how it came that far.
"""

from __future__ import annotations

import argparse
import gc
import resource
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TypeVar

from bench_nights import size_of
from sqlalchemy import select

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))
from support.postgresql import new_schema, running_postgresql

from stemline.ledger import Backfill, FrozenRow, Ledger, open_ledger
from stemline.ledger.backfill_record import BackfillOrder
from stemline.ledger.tables import backfill_tracks, tracks
from stemline.records import Code, Recipe, Track
from stemline.run.planning import LEG_TRACKS

T = TypeVar("T")
RECIPE = Recipe("four", "best", "flac")
NAME = "old"
PAGE = 200
ROWS = 5_000
MADE_AT = datetime(2026, 3, 2, tzinfo=UTC)
SHARES = (0.0, 0.5, 0.99)


def frozen_rows(count: int) -> Iterator[FrozenRow]:
    for number in range(count):
        dated = datetime(2000, 1, 1, tzinfo=UTC) + timedelta(hours=number % 200_000)
        columns = {"artist": f"Artist {number % 5_000}", "title": f"Title {number}", "released_on": dated}
        track = Track(
            f"track-{number:08}",
            f"https://music.example/{number:08}.flac",
            number,
            duration_seconds=180.0,
            columns=columns,
        )
        yield FrozenRow(f"{dated:%Y-%m}", track, f"digest-{number:08}", 180, dated)


def backfill() -> Backfill:
    request = {"order": "newest", "mode": "missing", "slice": "month"}
    return Backfill(NAME, "local", RECIPE, "config", "manifest", "1", {}, request, MADE_AT)


def timed(name: str, act: Callable[[], T]) -> T:
    """Say how long it takes, and how far the memory's peak has risen by then."""
    gc.collect()
    started, busy = time.perf_counter(), time.process_time()
    found = act()
    seconds, busy = time.perf_counter() - started, time.process_time() - busy
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(f"{name:44} {seconds:9.3f} s ({busy:8.3f} s of CPU)  {peak:5.0f} MB", flush=True)
    return found


def plan_run(ledger: Ledger, most: int) -> str:
    """Plan what a run is about, as it does: `most` of what is left."""
    run_id = ledger.runs.start("backfill", "local", RECIPE, "digest", "key", backfill=NAME)
    after, planned = -1, 0
    while planned < most and (rows := ledger.backfills.to_do(NAME, after, ROWS)):
        after, planned = rows[-1][0], planned + len(rows)
        ledger.tracks.plan(run_id, [row.track for _, row in rows])
        ledger.tracks.states("local", RECIPE, [row.track.track_id for _, row in rows])
    return run_id


def measure_at(ledger: Ledger, run_id: str, most: int) -> str:
    """Say what it takes at this point, and give the next run."""
    timed("  the next 200 tracks, from the front", lambda: ledger.tracks.next_planned(run_id, PAGE))
    timed("  ten pages, each behind the last", lambda: page_through(ledger, run_id, 10))
    timed("  progress by slice", lambda: ledger.backfills.progress(NAME))
    timed("  the first 5,000 that are not done", lambda: ledger.backfills.to_do(NAME, -1, ROWS))
    timed("  end a run that was asked to give way", lambda: end_run(ledger, run_id))
    return timed("  begin the next run", lambda: plan_run(ledger, most))


def publish_share(ledger: Ledger, rows: int, share: float) -> None:
    """Have the first tracks of the order be published, planned by an earlier run or not."""
    earlier = ledger.runs.start("earlier", "local", RECIPE, "digest", "other")
    after = -1
    while (found := ledger.backfills.to_do(NAME, after, ROWS)) and found[0][0] <= share * rows:
        after = found[-1][0]
        ledger.tracks.plan(earlier, [row.track for place, row in found if place <= share * rows])
    first = select(backfill_tracks.c.track_id).where(
        backfill_tracks.c.backfill == NAME, backfill_tracks.c.position <= share * rows
    )
    with ledger.database.write() as connection:
        connection.execute(tracks.update().where(tracks.c.track_id.in_(first)).values(state="published"))


def page_through(ledger: Ledger, run_id: str, pages: int) -> int:
    """Read so many pages as a dispatcher does, and give the tracks."""
    found, after = 0, None
    for _ in range(pages):
        page = ledger.tracks.next_planned(run_id, PAGE, after=after)
        if not page:
            break
        found, after = found + len(page), page[-1]
    return found


def measure(ledger: Ledger, rows: int, most: int) -> None:
    before = size_of(ledger)
    timed(f"freeze {rows:,} rows", lambda: ledger.backfills.freeze(backfill(), frozen_rows(rows)))
    print(f"{'':44} {(size_of(ledger) - before) / rows:9.0f} bytes a row in the ledger")
    timed("reorder", lambda: ledger.backfills.change(NAME, order=BackfillOrder.OLDEST))
    run_id = timed("begin its first run", lambda: plan_run(ledger, most))
    for share in SHARES:
        publish_share(ledger, rows, share)
        print(f"{share:.0%} published")
        run_id = measure_at(ledger, run_id, most)
    print(f"{'':44} {size_of(ledger) / rows:9.0f} bytes a row in the ledger")


def end_run(ledger: Ledger, run_id: str) -> None:
    ledger.tracks.hold(run_id, Code.RUN_STOPPED, "Another run wants the API key, and goes first.")
    ledger.queries.counts(run_id)
    ledger.runs.finish(run_id, 130, {})
    ledger.retention.forget(run_id, 30)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rows", type=int, default=100_000)
    parser.add_argument("--most", type=int, default=LEG_TRACKS, help="tracks of one run")
    parser.add_argument("--postgresql", action="store_true")
    arguments = parser.parse_args()
    with ExitStack() as stack:
        folder = stack.enter_context(tempfile.TemporaryDirectory())
        url = f"sqlite:///{folder}/ledger.db"
        if arguments.postgresql:
            url = new_schema(stack.enter_context(running_postgresql()))
        measure(stack.enter_context(open_ledger(url)), arguments.rows, arguments.most)


if __name__ == "__main__":
    main()
