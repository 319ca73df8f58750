"""Nights over a catalogue that is known: what a run costs that has nothing, or little, to do.

python benchmarks/bench_nights.py --rows 100000
python benchmarks/bench_nights.py --rows 1000000 --held 100000
python benchmarks/bench_nights.py --rows 100000 --charges 10000000 --postgresql

A manifest and a ledger with as many published tracks are made in bulk; then `stemline run` works through real nights,
each in a process of its own.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import sqlite3
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager
from datetime import timedelta
from pathlib import Path
from statistics import median

import duckdb
from ledger_size import sqlite_bytes
from sqlalchemy import Connection, create_engine, select, text

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))
from support.postgresql import new_schema, running_postgresql

import stemline.cli
from stemline.budget import Limits
from stemline.clock import utc_now
from stemline.ledger import Ledger, open_ledger
from stemline.ledger.database import LedgerDatabase
from stemline.ledger.tables import run_tracks, tracks
from stemline.records import Recipe, Track

RECIPE = Recipe("four", "best", "flac")
CONFIG = """
name: nights
catalogue: {{manifest: {folder}/catalogue.parquet}}
provider: {{kind: local}}
recipe: {{stems: four, quality: best, format: flac}}
budget: {{run: 0}}
dataset: {{url: {folder}/stems}}
ledger: {{url: "{url}"}}
"""
NUMBERS = {
    "sqlite": "(WITH RECURSIVE c(n) AS (SELECT {first} UNION ALL SELECT n + 1 FROM c WHERE n + 1 < {end}) "
    "SELECT n FROM c)",
    "postgresql": "(SELECT generate_series({first}, {end} - 1) AS n) AS numbers",
}
PADDED = {"sqlite": "printf('%08d', n)", "postgresql": "lpad(n::text, 8, '0')"}
LONGEST = "longest transaction: "
COUNTS = ("events", "run_tracks", "attempts")


def make_manifest(folder: Path, rows: int) -> None:
    duckdb.sql(f"""
        COPY (SELECT printf('https://music.example/%08d.flac', n) AS uri, printf('track-%08d', n) AS track_id,
        180.0 AS duration_seconds, printf('Artist %d', n % 5000) AS artist, printf('Title %d', n) AS title
        FROM range({rows}) AS numbers(n)) TO '{folder}/catalogue.parquet'
    """)


def fill(ledger: Ledger, published: int, waiting: int, state: str = "held") -> None:
    """Put as many published, then held or planned tracks into a ledger as an earlier night left them."""
    run_id = ledger.runs.start("nights", "local", RECIPE, "digest")
    at = ledger.clock() - timedelta(days=1)
    with ledger.database.write() as connection:
        for one, code, first, end in (
            ("published", "ok", 0, published),
            (state, "budget_run" if state == "held" else "ok", published, published + waiting),
        ):
            if end > first:
                _insert_tracks(connection, {"run": run_id, "at": at, "state": one, "code": code}, first, end)
        connection.execute(
            run_tracks.insert().from_select(
                ["run_id", "track_id"],
                select(tracks.c.run_id, tracks.c.track_id).where(tracks.c.state == state),
            )
        )
    ledger.runs.finish(run_id, 4, {})


def _insert_tracks(connection: Connection, facts: dict[str, object], first: int, end: int) -> None:
    kind = connection.dialect.name
    number, rows = PADDED[kind], NUMBERS[kind].format(first=first, end=end)
    columns = """'{"artist":"Artist ' || (n % 5000) || '","title":"Title ' || n || '"}'"""
    escaped = columns.replace(":", r"\:")  # no names of parameters
    connection.execute(
        text(f"""
        INSERT INTO tracks (track_id, recipe, provider, location, position, priority, duration_seconds, size_bytes,
        credits, columns, state, code, sentence, is_retryable, failures, run_id, updated_at)
        SELECT 'track-' || {number}, '{RECIPE.name}', 'local', 'https://music.example/' || {number} || '.flac',
        n + 1, 0, 180.0, NULL, 180, {escaped}, :state, :code, '', FALSE, 0, :run, :at FROM {rows}
        """),
        facts if kind == "postgresql" else {**facts, "at": f"{facts['at']:%Y-%m-%d %H:%M:%S.%f}"},
    )


def book_charges(ledger: Ledger, count: int) -> None:
    """Book so many charges, over the last sixty days, by hand and in bulk: with no attempts they would refer to."""
    begin = f"{(utc_now() - timedelta(days=60)).timestamp()} + n * {60 * 86_400.0 / count}"
    if ledger.database.is_sqlite:
        at = f"strftime('%Y-%m-%d %H:%M:%S', {begin}, 'unixepoch') || '.000000'"
        statements = _charge_statements("sqlite", at, "SUBSTR(at, 1, 16)", count)
        with (
            closing(sqlite3.connect(ledger.url.database or "")) as file,
            file,
        ):  # it checks no references by itself
            for statement in statements:
                file.execute(statement)
        return
    minute = "TO_CHAR(at AT TIME ZONE 'UTC', 'YYYY-MM-DD HH24:MI')"
    with ledger.database.write() as connection:
        connection.exec_driver_sql("SET LOCAL session_replication_role = replica")
        for statement in _charge_statements("postgresql", f"to_timestamp({begin})", minute, count):
            connection.exec_driver_sql(statement)
    vacuum(ledger)


def _charge_statements(kind: str, at: str, minute: str, count: int) -> list[str]:
    rows = NUMBERS[kind].format(first=0, end=count)
    totals = [
        f"INSERT INTO charge_totals (provider, span, starts, charged) SELECT 'local', '{span}', "
        f"SUBSTR({minute}, 1, {size}), SUM(amount) FROM credit_entries GROUP BY SUBSTR({minute}, 1, {size})"
        for span, size in (("minute", 16), ("hour", 13), ("day", 10))
    ]
    entries = (
        "INSERT INTO credit_entries (at, token, run_id, provider, kind, amount, day, month) "
        f"SELECT {at}, 'token-' || n, 'bulk', 'local', 'charge', 3, '2026-01-01', '2026-01' FROM {rows}"
    )
    return [entries, *totals]


def time_reserve(ledger: Ledger) -> str:
    """Give the milliseconds of a reservation, with a balance read before all charges."""
    rows = [
        Track(f"reserved-{n}", f"https://music.example/r{n}.flac", n, duration_seconds=9.0) for n in range(50)
    ]
    run_id = ledger.runs.start("reserve", "local", RECIPE, "digest")
    ledger.tracks.plan(run_id, rows)
    limits = Limits(balance=10**12, balance_at=utc_now() - timedelta(days=59, hours=3, seconds=17))
    walls, busy = [], time.process_time()
    for number, row in enumerate(rows):
        started = time.perf_counter()
        ledger.attempts.reserve(run_id, row, f"reserve-{number}", 9, limits)
        walls.append(1000 * (time.perf_counter() - started))
    busy = 1000 * (time.process_time() - busy) / len(rows)
    return f"{median(walls):.2f} ms in the median, {busy:.2f} ms of CPU"


def size_of(ledger: Ledger) -> int:
    """Give the bytes that the ledger takes, as its next night finds it."""
    if ledger.database.is_sqlite:
        return sqlite_bytes(ledger)
    vacuum(ledger)
    query = (
        "SELECT SUM(pg_total_relation_size(c.oid)) FROM pg_class c "
        "WHERE relkind = 'r' AND relnamespace = current_schema()::regnamespace"
    )
    with ledger.database.read() as connection:
        return int(connection.exec_driver_sql(query).scalar_one())


def vacuum(ledger: Ledger) -> None:
    """Do what autovacuum does between two nights: what was deleted can be written over."""
    engine = create_engine(ledger.url, isolation_level="AUTOCOMMIT")
    with closing(engine.connect()) as connection:
        connection.exec_driver_sql("VACUUM ANALYZE")
        connection.exec_driver_sql("CHECKPOINT")
    engine.dispose()


def rows_of(ledger: Ledger) -> dict[str, int]:
    with ledger.database.read() as connection:
        return {
            name: connection.execute(text(f"SELECT COUNT(*) FROM {name}")).scalar_one() for name in COUNTS
        }


def night(config: Path) -> tuple[float, dict[str, object]]:
    """Give the seconds of a real night, and its summary."""
    started = time.perf_counter()
    done = subprocess.run(
        [sys.executable, __file__, "--night", str(config)],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
    )
    seconds = time.perf_counter() - started
    summary, _, longest = done.stdout.partition(LONGEST)
    if "requests" not in summary:
        sys.exit(done.stdout + done.stderr)
    return seconds, {**json.loads(summary), "longest": float(longest)}


def run_one_night(config: str) -> None:
    """Run the command, and tell for how long its longest transaction kept other writers out."""
    held = [0.0]
    write = LedgerDatabase.write

    @contextmanager
    def timed(database: LedgerDatabase) -> Iterator[Connection]:
        started = time.perf_counter()
        with write(database) as connection:
            yield connection
        held.append(time.perf_counter() - started)

    LedgerDatabase.write = timed  # type: ignore[method-assign]
    sys.argv = ["stemline", "run", config, "--json", "--yes"]
    try:
        stemline.cli.main()
    finally:
        print(f"{LONGEST}{max(held)}")


def nights(folder: Path, url: str, count: int) -> Iterator[str]:
    config = folder / "nights.yaml"
    config.write_text(CONFIG.format(folder=folder, url=url))
    for number in range(1, count + 1):
        with open_ledger(url) as ledger:
            size, rows = size_of(ledger), rows_of(ledger)
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        seconds, summary = night(config)
        after_it = resource.getrusage(resource.RUSAGE_CHILDREN)
        busy = after_it.ru_utime + after_it.ru_stime - before.ru_utime - before.ru_stime
        with open_ledger(url) as ledger:
            grown = (size_of(ledger) - size) / 1e6
            more = {name: after - rows[name] for name, after in rows_of(ledger).items()}
        memory = after_it.ru_maxrss / 1024
        yield (
            f"night {number}: {seconds:6.1f} s ({busy:.1f} s of CPU)  {memory:5.0f} MB  ledger {grown:+.2f} MB  "
            f"{more}  {LONGEST}{summary['longest']:.2f} s  "
            f"requests {summary['requests']['sent']}  {summary['tracks']}"  # type: ignore[index]
        )


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rows", type=int, default=100_000, help="rows of the manifest")
    parser.add_argument("--held", type=int, default=0, help="how many of them the budget holds")
    parser.add_argument("--nights", type=int, default=3)
    parser.add_argument(
        "--charges", type=int, default=0, help="so many charges before a reservation is timed"
    )
    parser.add_argument("--postgresql", action="store_true")
    parser.add_argument("--night", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.night:
        run_one_night(arguments.night)
        return
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        url = f"sqlite:///{folder}/ledger.db"
        if arguments.postgresql:
            url = new_schema(stack.enter_context(running_postgresql()))
        make_manifest(folder, arguments.rows)
        with open_ledger(url) as ledger:
            fill(ledger, arguments.rows - arguments.held, arguments.held)
        for line in nights(folder, url, arguments.nights):
            print(line, flush=True)
        if arguments.charges:
            with open_ledger(url) as ledger:
                book_charges(ledger, arguments.charges)
                print(f"reserve after {arguments.charges:,} charges: {time_reserve(ledger)}")


if __name__ == "__main__":
    main()
