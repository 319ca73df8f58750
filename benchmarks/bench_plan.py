"""What wide manifests cost to plan and to run, and new tracks to be held against the published ones: CPU seconds.

python benchmarks/bench_plan.py --columns 3000 --rows 5 --tracks 1000000

The two commands are processes of their own over made songs and the local service; the last is the comparison alone,
without the ledger's reading of what is published.
"""

from __future__ import annotations

import argparse
import csv
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import soundfile
from scale.plan import run_command

from stemline.plan.paid_files import PaidFiles
from stemline.records import Track

RATE = 8_000
SECONDS = 2
CONFIG = """\
name: wide
catalogue: {{manifest: {folder}/manifest.csv}}
provider: {{kind: local}}
dataset: {{url: {folder}/dataset}}
ledger: {{url: "sqlite:///{folder}/ledger.db"}}
"""


def write_wide(folder: Path, rows: int, columns: int) -> None:
    """Write a manifest of so many rows, each with so many columns of its own, over one tone a row."""
    carried = [f"column_{number}" for number in range(columns)]
    time_axis = np.arange(SECONDS * RATE) / RATE
    with (folder / "manifest.csv").open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["track_id", "path", *carried])
        for row in range(rows):
            soundfile.write(folder / f"{row}.wav", 0.3 * np.sin((440 + row) * time_axis), RATE)
            writer.writerow([f"t{row}", f"{row}.wav", *(f"{row} {column}" for column in range(columns))])
    (folder / "wide.yaml").write_text(CONFIG.format(folder=folder))


def compare_files(tracks: int) -> float:
    """Hold so many new tracks against as many published ones, of which one in a thousand has the same file."""
    paid = PaidFiles()
    for number in range(tracks):
        paid.add(Track(f"t{number}", f"s3://music/{number}.flac", number))
    started = time.process_time()
    paid.compare(_published(tracks))
    seconds = time.process_time() - started
    if len(paid.rows) != -(-tracks // 1_000):
        sys.exit(f"{len(paid.rows)} were found, not {-(-tracks // 1_000)}")
    return seconds


def _published(tracks: int) -> Iterator[str]:
    for number in range(tracks):
        yield f"s3://music/{number}.flac" if number % 1_000 == 0 else f"s3://old/{number}.flac"


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--columns", type=int, default=3_000)
    parser.add_argument("--rows", type=int, default=5)
    parser.add_argument("--tracks", type=int, default=1_000_000)
    asked = parser.parse_args()
    print(f"{'':<34} {'seconds':>8} {'CPU s':>7} {'MB':>6}")
    for columns in (0, asked.columns):
        with tempfile.TemporaryDirectory(prefix="bench-plan-") as place:
            folder = Path(place)
            write_wide(folder, asked.rows, columns)
            for name, *words in (("plan",), ("run", "--yes")):
                done = run_command(name, str(folder / "wide.yaml"), *words)
                told = f"{name}, {asked.rows:,} rows x {columns:,} columns"
                print(f"{told:<34} {done.seconds:8.1f} {done.cpu_seconds:7.1f} {done.peak_mb:6.0f}")
    cpu = compare_files(asked.tracks)
    print(f"{f'{asked.tracks:,} new beside as many paid':<34} {'':8} {cpu:7.1f}")


if __name__ == "__main__":
    main()
