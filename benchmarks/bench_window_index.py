"""Windows of a catalogue that is large: the index made once, going on in the middle of an epoch, memory.

    python benchmarks/bench_window_index.py
    python benchmarks/bench_window_index.py --tracks 100000 --seconds 200

The tables are real, the sound is not there: what is measured is everything up to the request. Each step is a process
of its own, so that its memory is.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

import stemline
from stemline.dataset.layout import DatasetLayout
from stemline.dataset.parts import part_writer
from stemline.reader.windows import StemWindows

PER_PART = 50_000
STEMS = ("bass", "drums", "other", "vocals")
DRAWN = 20_000


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--tracks", type=int, default=1_000_000)
    parser.add_argument("--seconds", type=int, default=24, help="of each track")
    parser.add_argument("--step", choices=["first", "again"], help=argparse.SUPPRESS)
    parser.add_argument("--folder", type=Path, help=argparse.SUPPRESS)
    asked = parser.parse_args()
    if asked.step:
        open_windows(asked.folder, asked.step)
        return
    with tempfile.TemporaryDirectory() as folder:
        write_dataset(Path(folder), asked.tracks, asked.seconds)
        for step in ("first", "again"):
            command = [sys.executable, __file__, "--step", step, "--folder", folder]
            subprocess.run(command, env={**os.environ, "STEMLINE_CACHE": f"{folder}/cache"}, check=True)
        size = sum(file.stat().st_size for file in Path(folder, "cache").rglob("*") if file.is_file())
        print(f"the index has {size / 1e6:.0f} MB")


def open_windows(folder: Path, step: str) -> None:
    """Open the windows, the second time in the middle of an epoch; draw some."""
    kept = folder / "state.json"
    dataset = stemline.open_dataset(str(folder / "set"))
    started = time.perf_counter()
    windows = dataset.windows(6.0, resume=json.loads(kept.read_text()) if step == "again" else None)
    begin = windows.windows_per_epoch // 2
    draw(windows, begin)
    print(
        f"{step}: the next of {windows.windows_per_epoch} windows is known after {time.perf_counter() - started:.3f} s"
    )
    started = time.process_time()
    for position in range(begin, min(begin + DRAWN, windows.windows_per_epoch)):
        draw(windows, position)
    print(f"{step}: {(time.process_time() - started) / DRAWN * 1e6:.0f} us a window, {memory()}")
    windows.note({"position": begin - 1, "shards": 1})
    kept.write_text(json.dumps(windows.state()))


def draw(windows: StemWindows, position: int) -> None:
    """Draw a window and find its bytes, as reading it begins."""
    windows._reader.pending(*windows._drawn(position, 1))  # noqa: SLF001 - all but the reading


def memory() -> str:
    told = dict(line.split(":", 1) for line in Path("/proc/self/status").read_text().splitlines())
    return f"{int(told['VmRSS'].split()[0]) >> 10} MB, at most {int(told['VmHWM'].split()[0]) >> 10} MB"


def write_dataset(folder: Path, tracks: int, seconds: int) -> None:
    """Write the tables of so many tracks, of which no sound is there."""
    layout = DatasetLayout(("provider",))
    (folder / "set" / "_stemline").mkdir(parents=True)
    for first in range(0, tracks, PER_PART):
        ids = [f"{number:032x}" for number in range(first, min(first + PER_PART, tracks))]
        rows: dict[str, Callable[[], Mapping[str, Any]]] = {
            "tracks": lambda ids=ids: track_columns(ids),
            "stems": lambda ids=ids: stem_columns(ids, seconds),
            "activity": lambda ids=ids: activity_columns(ids, seconds),
        }
        for table, columns in rows.items():
            path = folder / "set" / table / "by_provider=local" / f"part-{first:020x}.parquet"
            path.parent.mkdir(parents=True, exist_ok=True)
            schema, found = layout.schema_of(table), columns()
            count = len(found["track_id"])
            arrays = [array_of(found.get(field.name), field.type, count) for field in schema]
            with part_writer(path, schema) as writer:
                writer.write_table(pa.Table.from_arrays(arrays, schema=schema), row_group_size=PER_PART)


def array_of(values: Any, kind: pa.DataType, count: int) -> pa.Array:  # noqa: ANN401 - a column, or what is in all its rows
    is_single = values is None or isinstance(values, str | int | float | date)
    return pa.array([values] * count if is_single else values, kind)


COMMON = {"provider": "local", "recipe": "four-best-flac", "run_id": "run", "collected_on": date(2026, 11, 1)}


def track_columns(ids: list[str]) -> dict[str, Any]:
    asked = {"stems": "four", "quality": "best", "format": "flac", "split": "train", "ai_training": "unknown"}
    at = datetime(2026, 11, 1, tzinfo=UTC)
    return {"track_id": ids, "attempt_token": ids, "source_uri": ids, "collected_at": at, **asked, **COMMON}


def stem_columns(ids: list[str], seconds: int) -> dict[str, Any]:
    sound = {"format": "flac", "sample_rate": 44_100, "channels": 2, "frames": 44_100 * seconds - 7}
    about = {"duration_seconds": float(seconds), "size_bytes": 90_000 * seconds, "verification": "decoded"}
    paths = [f"audio/{each[:2]}/{each}/local-four-best-flac/{stem}.flac" for each in ids for stem in STEMS]
    return {**names(ids), "path": paths, **sound, **about, **COMMON}


def activity_columns(ids: list[str], seconds: int) -> dict[str, Any]:
    chance, shape = np.random.default_rng(0), (len(ids) * len(STEMS), seconds)
    places = {
        "rms_dbfs": np.round(chance.uniform(-70, -10, shape), 1).astype(np.float32),
        "byte_offset": np.cumsum(chance.integers(60_000, 90_000, shape), axis=1),
        "first_frame": np.arange(seconds) * 44_100 - chance.integers(0, 4_096, shape),
    }
    ends = pa.array(np.arange(shape[0] + 1) * seconds, pa.int32())
    lists = {
        name: pa.ListArray.from_arrays(ends, pa.array(values.ravel())) for name, values in places.items()
    }
    return {**names(ids), **lists, "header_bytes": 8_000, "hop_seconds": 1.0, **COMMON}


def names(ids: list[str]) -> dict[str, Any]:
    return {"track_id": [each for each in ids for _ in STEMS], "stem": list(STEMS) * len(ids)}


if __name__ == "__main__":
    main()
