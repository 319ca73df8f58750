"""For how long who lists folders may see a track twice while its new row takes the place of the older one.

Tracks of a made dataset in a folder are made again, as they lie in so many older parts; a thread globs the tracks table
all the while, and what it sees twice is timed from the first look to the last.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import duckdb

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))

from support.estate import open_estate
from support.remade import Remade

from stemline.storage import open_store


def main() -> None:
    """Print it for each number of tracks and parts."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--tracks", type=int, nargs="+", default=[1, 400])
    parser.add_argument("--parts", type=int, nargs="+", default=[1, 100])
    asked = parser.parse_args()
    for tracks, parts in zip(asked.tracks, asked.parts, strict=True):
        seconds, looks = measure(tracks, parts)
        print(f"{tracks} tracks in {parts} parts: seen twice for {seconds:.2f} s at most, in {looks} looks")


def measure(tracks: int, parts: int) -> tuple[float, int]:
    """Give the seconds from the first look that saw a track twice to the end of the last one, and all looks."""
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        with open_estate(root, open_store(str(root / "dataset"))) as estate:
            names = [f"t{number:04d}" for number in range(tracks)]
            for part in range(parts):
                estate.publish(*names[part::parts])
            remade = Remade(estate)
            remade.new_run()
            remade.collect(*names)
            with looking(root / "dataset" / "tracks") as looks:
                replaced = remade.replace()
    if replaced != tracks:
        raise SystemExit(f"{replaced} of {tracks} tracks were replaced.")
    twice = [moment for began, ended, is_twice in looks if is_twice for moment in (began, ended)]
    return (max(twice) - min(twice) if twice else 0.0), len(looks)


@contextmanager
def looking(tables: Path) -> Iterator[list[tuple[float, float, bool]]]:
    """Look at the tracks table again and again; give when each look began and ended, and whether it saw any twice."""
    looks: list[tuple[float, float, bool]] = []
    over = threading.Event()

    def look() -> None:
        database = duckdb.connect()
        query = f"SELECT count(*) - count(DISTINCT track_id) FROM read_parquet('{tables}/**/*.parquet')"
        while not over.is_set():
            began = time.monotonic()
            try:
                ((twice,),) = database.execute(query).fetchall()
            except duckdb.Error:  # a part was replaced between listing and reading
                continue
            looks.append((began, time.monotonic(), twice > 0))

    thread = threading.Thread(target=look)
    thread.start()
    try:
        yield looks
    finally:
        over.set()
        thread.join()


if __name__ == "__main__":
    main()
