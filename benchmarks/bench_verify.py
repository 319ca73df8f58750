"""What verifying a large dataset takes, without reading its audio: seconds and memory.

python benchmarks/bench_verify.py --tracks 1000000

The tables and the ledger are real, in as many parts as compaction leaves; the listing of the audio is made as it is
asked for, as a store lists a thousand objects with each request. The figure of memory is that of a process of its own.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import resource
import sqlite3
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from stemline.dataset.layout import DatasetLayout
from stemline.dataset.paths import attempt_folder
from stemline.integrity.verification import Thoroughness, check_dataset_integrity
from stemline.ledger import KnownDataset, open_ledger
from stemline.ledger.holdings import HeldAttempt
from stemline.records import Recipe
from stemline.storage.local_store import LocalStore

RECIPE = Recipe("four", "best", "flac")
PART_TRACKS = 10_000
SIZE = 20_000_000


class ListingStore(LocalStore):
    """A dataset in a folder, whose audio is only listed."""

    def __init__(self, root: str, tracks: int, lost: int) -> None:
        """Take the folder, how many tracks there are, and how many objects of them are not."""
        super().__init__(root)
        self._tracks, self._lost = tracks, lost

    def list_sizes(self, prefix: str = "") -> Iterator[tuple[str, int]]:
        """Give what lies in the folder, and for the audio what should."""
        if prefix != "audio":
            yield from super().list_sizes(prefix)
            return
        for number in range(self._tracks):
            for stem in RECIPE.stem_names if number >= self._lost else ():
                yield path_of(number, stem), SIZE


def path_of(number: int, stem: str) -> str:
    """Give where a stem lies."""
    held = HeldAttempt(token(number), f"track-{number:07}", "local", RECIPE.name, 1, "published")
    return f"audio/{attempt_folder(held.attempt)}/{stem}.flac"


def token(number: int) -> str:
    """Give the token of a track's attempt."""
    return f"sl{number:020x}"


def main() -> None:
    """Make the dataset and print what verifying it takes."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--tracks", type=int, default=1_000_000)
    parser.add_argument("--folder", help=argparse.SUPPRESS)
    parser.add_argument("--lost", type=int, default=0, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.folder:
        print(json.dumps(verify(Path(arguments.folder), arguments.tracks, arguments.lost)))
        return
    with tempfile.TemporaryDirectory(prefix="bench-verify-") as name:
        started = time.perf_counter()
        make_tables(Path(name), arguments.tracks)
        make_ledger(Path(name), arguments.tracks)
        print(f"made      {arguments.tracks:,} tracks in {time.perf_counter() - started:.0f} s", flush=True)
        for lost in (0, 10):
            command = [sys.executable, __file__, "--folder", name, "--tracks", str(arguments.tracks)]
            done = subprocess.run([*command, "--lost", str(lost)], check=True, capture_output=True, text=True)
            found = json.loads(done.stdout)
            print(
                f"verified  {found['objects']:,} objects in {found['seconds']:.0f} s, {found['megabytes']:,} MB, "
                f"{found['missing']} missing, {found['wrong']} else",
                flush=True,
            )


def make_tables(folder: Path, tracks: int) -> None:
    """Write the parts of the tables."""
    layout = DatasetLayout(())
    for part, start in enumerate(range(0, tracks, PART_TRACKS)):
        numbers = range(start, min(start + PART_TRACKS, tracks))
        write(
            folder, f"tracks/part-{part:020x}.parquet", layout.tracks, [track_row(each) for each in numbers]
        )
        rows = [stem_row(each, stem) for each in numbers for stem in RECIPE.stem_names]
        write(folder, f"stems/part-{part:020x}.parquet", layout.stems, rows)


def write(folder: Path, key: str, schema: pa.Schema, rows: list[dict[str, object]]) -> None:
    """Write one part; columns that nobody compares are empty."""
    path = folder / "out" / key
    path.parent.mkdir(parents=True, exist_ok=True)
    bare = pa.schema([each.with_nullable(nullable=True) for each in schema])
    pq.write_table(pa.Table.from_pylist(rows, schema=bare), path, compression="zstd")


def track_row(number: int) -> dict[str, object]:
    """Give a row of the tracks table."""
    recipe = {
        "stems": RECIPE.stems,
        "quality": RECIPE.quality,
        "format": RECIPE.format,
        "recipe": RECIPE.name,
    }
    return {"track_id": f"track-{number:07}", "provider": "local", "attempt_token": token(number), **recipe}


def stem_row(number: int, stem: str) -> dict[str, object]:
    """Give a row of the stems table."""
    path = path_of(number, stem)
    return {
        "track_id": f"track-{number:07}",
        "stem": stem,
        "provider": "local",
        "recipe": RECIPE.name,
        "path": path,
        "size_bytes": SIZE,
        "sha256": hashlib.sha256(path.encode()).hexdigest(),
        "verification": "ok",
    }


def make_ledger(folder: Path, tracks: int) -> None:
    """Write a ledger that has published all tracks, in the batches that the parts are named by."""
    with open_ledger(f"sqlite:///{folder}/ledger.db") as ledger:
        ledger.datasets.ledger_id()
        known = KnownDataset("local", RECIPE.name, "set", "", "none", tracks, None, {}, is_adopting=False)
        ledger.datasets.add(known)
        run_id = ledger.runs.start("bench", "local", RECIPE, "digest", "key")
    now = "2026-11-28 12:00:00.000000"
    with sqlite3.connect(folder / "ledger.db") as connection:
        connection.executemany(
            "INSERT INTO batches (batch_id, run_id, members, opened_at, published_at) VALUES (?, ?, ?, ?, ?)",
            ((f"{part:020x}", run_id, PART_TRACKS, now, now) for part in range(-(-tracks // PART_TRACKS))),
        )
        connection.executemany(
            "INSERT INTO attempts (token, track_id, recipe, run_id, reserved_at, updated_at, sent_at, job_id, "
            "batch_id, provider, number, state, code, sentence, credits_reserved, credits_charged, is_disputed, "
            "result, dataset_id) "
            "VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, 'local', 1, 'published', 'ok', '', 200, 200, 0, '{}', 'set')",
            (
                (*attempt_cells(each, run_id), now, now, now, f"j{each}", batch_of(each))
                for each in range(tracks)
            ),
        )


def attempt_cells(number: int, run_id: str) -> tuple[str, str, str, str]:
    """Give the cells of an attempt that name it."""
    return token(number), f"track-{number:07}", RECIPE.name, run_id


def batch_of(number: int) -> str:
    """Give the batch in whose part a track lies."""
    return f"{number // PART_TRACKS:020x}"


def verify(folder: Path, tracks: int, lost: int) -> dict[str, float]:
    """Verify the dataset without reading its audio."""
    with open_ledger(f"sqlite:///{folder}/ledger.db") as ledger:
        ledger.datasets.write_into(ledger.datasets.of_dataset("set")[0])
        store = ListingStore(str(folder / "out"), tracks, lost)
        started = time.perf_counter()
        report = check_dataset_integrity(store, ledger, Thoroughness(sample=0))
        seconds = time.perf_counter() - started
    tree = report.as_tree()
    return {
        "seconds": seconds,
        "megabytes": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss >> 10,
        "objects": report.objects,
        "missing": len(tree["missing"]),
        "wrong": len(tree["extra"]) + len(tree["altered"]) + len(tree["rows"]),
    }


if __name__ == "__main__":
    main()
