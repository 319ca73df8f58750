"""Rows a second and peak memory of reading a manifest of a million rows, in each form.

python benchmarks/bench_manifest.py --rows 1000000
"""

from __future__ import annotations

import argparse
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import duckdb

from stemline.manifest import ManifestSource
from stemline.manifest.scan import scan_manifest

COLUMNS = """
    's3://music/catalogue/' || (i % 997) || '/' || i || '.flac' AS uri, 'id-' || i AS track_id,
    'Artist ' || (i % 5000) AS artist, 'Song, no ' || i AS title, printf('US%010d', i) AS isrc,
    120.5 + i % 240 AS duration_seconds, DATE '2024-01-01' + CAST(i % 700 AS INTEGER) AS released_on, i * 7 AS plays
"""
FORMS = {
    "csv": "(FORMAT csv, HEADER)",
    "csv.gz": "(FORMAT csv, HEADER, COMPRESSION gzip)",
    "jsonl": "(FORMAT json)",
    "parquet": "(FORMAT parquet)",
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--read", type=Path, help="read this manifest and print its figures")
    parser.add_argument("--where")
    arguments = parser.parse_args()
    if arguments.read:
        read(arguments.read, arguments.where)
        return
    with tempfile.TemporaryDirectory(prefix="bench-manifest-") as folder:
        for form, copy in FORMS.items():
            path = Path(folder) / f"catalogue.{form}"
            duckdb.execute(f"COPY (SELECT {COLUMNS} FROM range({arguments.rows}) t(i)) TO '{path}' {copy}")
            # A process of its own, so that peak memory is this form's.
            subprocess.run([sys.executable, __file__, "--read", str(path)], check=True)
            subprocess.run(
                [sys.executable, __file__, "--read", str(path), "--where", "plays % 700 = 0"], check=True
            )


def read(path: Path, where: str | None) -> None:
    before = peak_megabytes()
    started = time.perf_counter()
    first = None
    tracks = rejects = 0
    for batch in scan_manifest(ManifestSource(str(path), where)):
        first = first or time.perf_counter() - started
        tracks += len(batch.tracks)
        rejects += len(batch.rejects)
    seconds = time.perf_counter() - started
    print(
        f"{path.name:20} {where or 'all':16} {tracks} tracks, {rejects} rejects in {seconds:.1f} s "
        f"({tracks / seconds:.0f} a second), first batch after {first or 0:.1f} s, "
        f"peak {peak_megabytes():.0f} MB (imports {before:.0f} MB)"
    )


def peak_megabytes() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


if __name__ == "__main__":
    main()
