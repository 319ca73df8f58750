"""A year of small parts: what merging them costs, what it is worth to readers, and how long who globs sees it.

python benchmarks/bench_dataset.py --tracks 1000000
python benchmarks/bench_dataset.py --tracks 100000 --activity
python benchmarks/bench_dataset.py --tracks 20000 --s3

The rows of one day are written once and linked into all days, ten tracks with four stems in each batch; each figure of
memory is that of a process of its own.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import random
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from itertools import accumulate
from pathlib import Path
from statistics import median
from typing import Any, TypeVar

import duckdb
import pandas as pd

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))
from support import s3

from stemline.activity import SecondOffsets, StemActivity
from stemline.clock import utc_now
from stemline.dataset.layout import DatasetLayout
from stemline.dataset.parts import DatasetBatch, write_parts
from stemline.dataset.paths import TABLES, stem_path
from stemline.dataset.table_row import PublishedRow
from stemline.records import Attempt, CollectedTrack, Job, Phase, Recipe, StemFile, Track
from stemline.report.dataset_page import write_dataset_report
from stemline.rewrite.compaction import Compaction, CompactionCounts, list_partitions
from stemline.rewrite.rewrite import Replacement, RewritePlan, Rewriter
from stemline.rewrite.snapshot import live_parts
from stemline.settings import Settings
from stemline.storage import Store, open_store

T = TypeVar("T")
RECIPE = Recipe("four", "best", "flac")
BATCH_TRACKS = 10
DAY_BATCHES = 2_000
FIRST_DAY = date(2026, 1, 1)
KEYS = ("Am", "C", "C# major", "G", "Em", "F")
PUBLISHED_TRACKS = 100_000
QUERY = (
    "SELECT count(*) FROM read_parquet('{}/tracks/**/*.parquet') WHERE bpm BETWEEN 118 AND 122 AND key = 'Am'"
)


def main() -> None:
    """Make the dataset and print what everything takes."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--tracks", type=int, default=1_000_000)
    parser.add_argument("--s3", action="store_true", help="on an S3 server of this machine")
    parser.add_argument("--activity", action="store_true", help="with what each second of a stem holds")
    parser.add_argument("--compact", metavar="FOLDER", help=argparse.SUPPRESS)
    parser.add_argument("--report", metavar="FOLDER", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.report:
        print(json.dumps(report(arguments.report)))
        return
    if arguments.compact:
        print(json.dumps(compact(open_store(arguments.compact))))
        return
    with tempfile.TemporaryDirectory(prefix="bench-dataset-") as name:
        if arguments.s3:
            on_s3(Path(name), arguments.tracks)
        else:
            on_disk(Path(name), arguments.tracks, has_activity=arguments.activity)


def on_disk(folder: Path, tracks: int, *, has_activity: bool) -> None:
    """Measure in a folder."""
    out = folder / "stems"
    seconds, parts = timed(lambda: grow(out, tracks, has_activity=has_activity))
    print(f"made      {tracks:,} tracks in {parts:,} parts, {seconds:.0f} s")
    before = readers(out)
    print_report("before", in_a_process("--report", out))
    done = in_a_process("--compact", out)
    print(
        f"compact   {done['seconds']:.1f} s, {done['cpu']:.1f} s of CPU, {done['megabytes']:.0f} MB; "
        f"{done['before']:,} parts to {done['after']:,}, {done['rows']:,} rows"
    )
    print(f"again     {done['again']:.2f} s, nothing is written")
    print_window(done["windows"])
    print_report("after", in_a_process("--report", out))
    after = readers(out)
    for what, seconds in before.items():
        print(
            f"{what:<9} {seconds:.3f} s before, {after[what]:.3f} s after, {seconds / after[what]:.1f} times as fast"
        )
    seconds, _ = timed(lambda: publish(open_store(str(folder / "published"))))
    print(f"publish   {PUBLISHED_TRACKS:,} tracks' rows in batches of 500: {seconds:.1f} s")


def in_a_process(what: str, out: Path) -> dict[str, Any]:
    """Give what something in a process of its own tells."""
    command = [sys.executable, __file__, what, str(out)]
    told: dict[str, Any] = json.loads(
        subprocess.run(command, check=True, capture_output=True, text=True).stdout
    )
    return told


def print_report(when: str, done: dict[str, Any]) -> None:
    """Print what the page about the dataset takes."""
    print(
        f"report    {when}: {done['seconds']:.1f} s, {done['cpu']:.1f} s of CPU, {done['megabytes']:.0f} MB"
    )


def report(folder: str) -> dict[str, Any]:
    """Write the page about the dataset; give what it took."""
    tree = {"catalogue": {"manifest": "none.csv"}, "provider": {"kind": "local"}, "dataset": {"url": folder}}
    settings = Settings.model_validate({"name": "bench", "recipe": {"stems": "four"}, **tree})
    began = time.process_time()
    seconds, _ = timed(lambda: write_dataset_report(settings))
    megabytes = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    return {"seconds": seconds, "cpu": time.process_time() - began, "megabytes": megabytes}


def on_s3(folder: Path, tracks: int) -> None:
    """Measure on an S3 server of this machine: what is uploaded is made on the disk first."""
    out = folder / "stems"
    grow(out, tracks)
    with running_s3(folder / "s3") as (url, options), ExitStack():
        store = open_store(url, options)
        keys = [path.relative_to(out).as_posix() for path in out.rglob("*.parquet")]
        for key in keys:
            store.put_file(key, out / key)
        done = compact(store)
        print(f"compact   {len(keys):,} parts on S3 in {done['seconds']:.1f} s, to {done['after']:,}")
        print_window(done["windows"])


def print_window(windows: list[tuple[int, float]]) -> None:
    """Print for how long who globs sees a partition twice or short."""
    parts, seconds = max(windows)
    print(
        f"window    {1e3 * median(each for _, each in windows):.1f} ms in the median of {len(windows)} partitions, "
        f"{1e3 * max(each for _, each in windows):.1f} ms at most; {1e3 * seconds:.1f} ms where {parts:,} parts go"
    )


@dataclass(frozen=True, slots=True)
class TimedRewriter(Rewriter):
    """Takes the time of what readers that glob may see."""

    windows: list[tuple[int, float]] = field(default_factory=list)

    def _replace(self, plan: RewritePlan, replacement: Replacement) -> None:
        seconds, _ = timed(lambda: Rewriter._replace(self, plan, replacement))
        self.windows.append((len(replacement.old), seconds))


def compact(store: Store) -> dict[str, Any]:
    """Merge all there is, and again; give what it took."""
    rewriter = TimedRewriter(store, dict, lambda *_: None, lambda: None, utc_now)
    began = time.process_time()

    def run() -> CompactionCounts:
        partitions, _ = list_partitions(store, live_parts(store), set)
        return Compaction(rewriter, DatasetLayout()).run(partitions)

    seconds, counts = timed(run)
    cpu = time.process_time() - began
    again, _ = timed(run)
    return {
        "seconds": seconds,
        "cpu": cpu,
        "again": again,
        "megabytes": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
        "before": counts.parts_before,
        "after": counts.parts_after,
        "rows": counts.rows,
        "windows": rewriter.windows,
    }


def readers(out: Path) -> dict[str, float]:
    """Give what readers take that know nothing of us, the best of three."""
    month = sorted((out / "tracks").glob("*/*"))[:30]
    found = {
        "DuckDB": lambda: duckdb.sql(QUERY.format(out)).fetchall(),
        "pandas": lambda: [pd.read_parquet(day, columns=["track_id", "bpm"]) for day in month],
    }
    return {what: min(timed(read)[0] for _ in range(3)) for what, read in found.items()}


def grow(out: Path, tracks: int, *, has_activity: bool = False) -> int:
    """Write a day's parts, and link them into as many days as it takes; give how many parts there are."""
    batches = min(DAY_BATCHES, tracks // BATCH_TRACKS)
    store, parts = open_store(str(out)), 0
    for number in range(batches):
        write_parts(store, batch(number, BATCH_TRACKS, has_activity=has_activity), DatasetLayout())
    for table in (each for each in TABLES if (out / each).exists()):
        (first,) = (out / table).glob("*/*")
        files = list(first.iterdir())
        parts += len(files)
        for day in range(1, tracks // (batches * BATCH_TRACKS)):
            folder = first.with_name(f"by_collected_on={FIRST_DAY + timedelta(days=day)}")
            folder.mkdir()
            for file in files:
                digest = hashlib.sha256(f"{day} {file.name}".encode()).hexdigest()[:20]
                os.link(file, folder / f"part-{digest}.parquet")
            parts += len(files)
    return parts


def publish(store: Store) -> None:
    """Write the rows of many tracks as a run does."""
    for number in range(PUBLISHED_TRACKS // 500):
        write_parts(store, batch(number, 500), DatasetLayout())


def batch(number: int, tracks: int, *, has_activity: bool = False) -> DatasetBatch:
    """Give collected tracks, each time the same for a number."""
    rows = [row(f"{number}-{track}", has_activity=has_activity) for track in range(tracks)]
    return DatasetBatch(hashlib.sha256(str(number).encode()).hexdigest()[:20], "run-1", rows)


def row(name: str, *, has_activity: bool = False) -> PublishedRow:
    """Give one collected track, with a name that sorts like chance."""
    digest = hashlib.sha256(name.encode()).hexdigest()
    chance = int(digest[:8], 16)
    columns = {
        "artist": f"Artist {chance % 997}",
        "title": f"Song {name}",
        "isrc": f"US{chance % 10**10:010}",
    }
    track = Track(digest[:20], f"s3://music/{digest}.flac", 1, duration_seconds=200.0, columns=columns)
    attempt = Attempt(f"sl{digest[:20]}", track, RECIPE, "stemsplit", 1, 200, job_id=digest[20:40])
    stems = tuple(
        StemFile(
            stem,
            stem_path(attempt, stem, "flac"),
            "flac",
            44_100,
            2,
            8_820_000,
            200.0,
            20_000_000 + chance % 10**6,
            hashlib.sha256(f"{name} {stem}".encode()).hexdigest(),
            -1.0,
            -12.5 - chance % 100 / 10,
            "ok",
            activity=activity(chance + number) if has_activity else None,
        )
        for number, stem in enumerate(RECIPE.stem_names)
    )
    at = datetime(FIRST_DAY.year, FIRST_DAY.month, FIRST_DAY.day, 12, tzinfo=UTC)
    bpm, key = 60 + chance % 1200 / 10, KEYS[chance % len(KEYS)]
    collected = CollectedTrack(attempt.token, stems, bpm, key, "provider", "provider", at)
    return PublishedRow(attempt, Job(digest[20:40], Phase.DONE, credits_charged=200), collected)


def activity(seed: int) -> bytes:
    """Give what 200 seconds of a stem hold."""
    draw = random.Random(seed)  # noqa: S311 - made numbers
    loudness = tuple(draw.randint(-600, -60) / 10 for _ in range(200))
    starts = tuple(accumulate(draw.randint(80_000, 120_000) for _ in range(200)))
    frames = tuple(second * 44_100 - draw.randint(0, 4_095) for second in range(200))
    return StemActivity(loudness, SecondOffsets(starts, frames, 86)).pack()


@contextmanager
def running_s3(folder: Path) -> Iterator[tuple[str, dict[str, object]]]:
    """Give the URL of a bucket on a server of its own, and its options."""
    folder.mkdir()
    state = s3.start(folder)
    try:
        server = s3.S3Server(**state["server"])
        server.client().create_bucket(Bucket="bench")
        yield "s3://bench/stems", server.storage_options
    finally:
        s3.stop(state)


def timed(action: Callable[[], T]) -> tuple[float, T]:
    """Give how many seconds something took, and what it gave."""
    began = time.perf_counter()
    given = action()
    return time.perf_counter() - began, given


if __name__ == "__main__":
    main()
