"""What a release of a year of small parts costs, and comparing it with another.

python benchmarks/bench_release.py --tracks 1000000
python benchmarks/bench_release.py --tracks 20000 --s3
"""

from __future__ import annotations

import argparse
import json
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import pyarrow.compute as pc
import pyarrow.parquet as pq
from bench_dataset import grow, running_s3, timed

from stemline.dataset.layout import DatasetLayout
from stemline.dataset.parts import put_part
from stemline.release.difference import compare_releases
from stemline.run.releasing import release_dataset
from stemline.settings import Settings
from stemline.storage import open_store


def main() -> None:
    """Make the dataset and print what everything takes; each figure of memory is that of a process of its own."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--tracks", type=int, default=1_000_000)
    parser.add_argument("--s3", action="store_true", help="on an S3 server of this machine")
    parser.add_argument("--measure", nargs=3, metavar=("WHAT", "URL", "OPTIONS"), help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.measure:
        print(json.dumps(measure(*arguments.measure)))
        return
    with tempfile.TemporaryDirectory(prefix="bench-release-") as name:
        out = Path(name) / "stems"
        print(f"made      {arguments.tracks:,} tracks in {grow(out, arguments.tracks):,} parts")
        if not arguments.s3:
            show(str(out), {})
            return
        with running_s3(Path(name) / "s3") as (url, options):
            for path in out.rglob("*.*"):
                open_store(url, options).put_file(path.relative_to(out).as_posix(), path)
            show(url, options)


def show(url: str, options: dict[str, Any]) -> None:
    """Release, correct a row of every partition's first part, release again, compare."""
    tell("release", "v1", url, options)
    store, seen = open_store(url, options), set[str]()
    for key in sorted(store.list("tracks")):
        if (folder := key.rpartition("/")[0]) not in seen:
            seen.add(folder)
            correct(store, key)
    tell("release", "v2", url, options)
    tell("compare", "", url, options)


def correct(store: Any, key: str) -> None:  # noqa: ANN401 - a Store
    """Give every row of a part another title."""
    with tempfile.NamedTemporaryFile() as file:
        store.fetch_file(key, Path(file.name))
        table = pq.read_table(file.name, partitioning=None)
    place = table.schema.get_field_index("title")
    titles = pc.binary_join_element_wise(table["title"], "live", " ")
    put_part(store, key, DatasetLayout().tracks, [table.set_column(place, "title", titles)])


def tell(what: str, name: str, url: str, options: dict[str, Any]) -> None:
    """Print what something takes."""
    command = [sys.executable, __file__, "--measure", f"{what} {name}".strip(), url, json.dumps(options)]
    found = json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)
    took = f"{found['seconds']:.1f} s, {found['cpu']:.1f} s of CPU, {found['megabytes']:.0f} MB"
    print(f"{what:<9} {took}; {found['came_of_it']}", flush=True)


def measure(what: str, url: str, options: str) -> dict[str, Any]:
    """Do one thing; give what it took."""
    settings = Settings.model_validate(
        {
            "name": "bench",
            "catalogue": {"manifest": "songs.csv"},
            "provider": {"kind": "local"},
            "dataset": {"url": url, "storage_options": json.loads(options)},
        }
    )
    word, _, name = what.partition(" ")
    began = time.process_time()
    if word == "release":
        seconds, release = timed(lambda: release_dataset(settings, name))
        came_of_it = f"{release.counts['tracks']:,} tracks in {len(release.files):,} files"
    else:
        seconds, difference = timed(lambda: compare_releases(settings, "v2", "v1", 20))
        came_of_it = f"{difference.tables['tracks'].changed:,} tracks changed"
    return {
        "seconds": seconds,
        "cpu": time.process_time() - began,
        "megabytes": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
        "came_of_it": came_of_it,
    }


if __name__ == "__main__":
    main()
