"""The activity table: what it takes, what publishing it costs, and a window by one range against the whole object.

    python benchmarks/bench_activity.py

Windows are read from a real S3 server on loopback, by what `docs/dataset-activity.md` shows.
"""

from __future__ import annotations

import argparse
import random
import re
import statistics
import tempfile
import time
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import fsspec
import numpy as np
import soundfile
from bench_collect import s3_server

from stemline import audio
from stemline.activity import unpack
from stemline.dataset.layout import DatasetLayout
from stemline.dataset.parts import DatasetBatch, write_parts
from stemline.dataset.table_row import PublishedRow
from stemline.records import Attempt, CollectedTrack, Job, Phase, Recipe, StemFile, Track
from stemline.storage import open_store
from stemline.verify import StemExpectation, StemMeasures, verify_stem
from stemline_local.songs import make_song

SECONDS = 240.0
WINDOW = 6
PAGE = Path(__file__).parents[1] / "docs/dataset-activity.md"


def make_stems(folder: Path, songs: int, audio_format: str) -> dict[Path, StemMeasures]:
    """Give files of four minutes with their measures."""
    measures = {}
    for number in range(songs):
        song = make_song(number, bpm=80.0 + 9.7 * number, key="Am", seconds=SECONDS)
        for stem, samples in song.stems.items():
            path = folder / f"{number}-{stem}.{audio_format}"
            audio.encode(path, samples, song.sample_rate, audio_format)
            measures[path] = verify_stem(path, StemExpectation(audio_format))
    return measures


def publish(stems: list[StemFile], tracks: int) -> tuple[float, float]:
    """Publish tracks of four stems; give the CPU seconds and the bytes of activity a stem."""
    rows = []
    recipe, now = Recipe("four", "best", "flac"), datetime.now(UTC)
    for number in range(tracks):
        track = Track(f"track-{number:05}", f"https://music/{number}", number, duration_seconds=SECONDS)
        attempt = Attempt(f"token-{number}", track, recipe, "local", 1, int(SECONDS))
        mine = tuple(
            replace(stems[(4 * number + place) % len(stems)], stem=stem)
            for place, stem in enumerate(recipe.stem_names)
        )
        collected = CollectedTrack(attempt.token, mine, 120.0, "Am", "provider", "provider", now)
        rows.append(PublishedRow(attempt, Job(f"job-{number}", Phase.DONE), collected))
    with tempfile.TemporaryDirectory() as name:
        store, began = open_store(name), time.process_time()
        keys = write_parts(store, DatasetBatch("bench", "run", rows), DatasetLayout())
        spent = time.process_time() - began
        return spent, sum(store.size(key) for key in keys if key.startswith("activity/")) / (4 * tracks)


def read_windows(measures: dict[Path, StemMeasures], options: dict[str, Any], count: int) -> None:
    """Read random windows of stems in a bucket both ways, and print the median of each."""
    shown: dict[str, Any] = {}
    exec(re.findall("```python\n(.*?)```", PAGE.read_text(), re.DOTALL)[0], shown)  # noqa: S102 - our own page
    files = fsspec.filesystem("s3", **options)
    for path in measures:
        files.put_file(str(path), f"bench/{path.name}")

    def by_range(path: Path, start: int) -> None:
        measured = measures[path]
        facts = {name: getattr(measured, name) for name in ("format", "sample_rate", "frames")}
        packed = unpack(measured.activity.pack())._asdict()
        shown["read_window"](f"s3://bench/{path.name}", facts, packed, start, WINDOW, **options)

    def whole(path: Path, start: int) -> None:
        with (
            files.open(f"s3://bench/{path.name}", cache_type="all") as file,
            soundfile.SoundFile(file) as sound,
        ):
            sound.seek(start * sound.samplerate)
            sound.read(WINDOW * sound.samplerate)

    for name, read in (("by range", by_range), ("whole", whole)):
        times = [timed(read, path, start) for path, start in chosen(list(measures), count)]
        print(f"a window of {WINDOW} s, {name:<9} {1000 * statistics.median(times):6.1f} ms in the median")


def chosen(paths: list[Path], count: int) -> list[tuple[Path, int]]:
    choice = random.Random(1)  # noqa: S311 - the same windows each time
    return [(choice.choice(paths), choice.randrange(int(SECONDS) - WINDOW)) for _ in range(count)]


def timed(read: Callable[[Path, int], None], path: Path, start: int) -> float:
    began = time.perf_counter()
    read(path, start)
    return time.perf_counter() - began


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--songs", type=int, default=4)
    parser.add_argument("--tracks", type=int, default=500)
    parser.add_argument("--windows", type=int, default=40)
    options = parser.parse_args()
    for audio_format in ("flac", "mp3"):
        with tempfile.TemporaryDirectory() as name, s3_server(Path(name) / "s3") as storage_options:
            measures = make_stems(Path(name), options.songs, audio_format)
            packed = [len(measured.activity.pack()) for measured in measures.values()]
            stems = [measured.stored("x", path.name) for path, measured in measures.items()]
            bare = [replace(stem, activity=None) for stem in stems]
            costs = [(publish(bare, options.tracks)[0], publish(stems, options.tracks)[0]) for _ in range(5)]
            print(f"{audio_format}: packed {np.mean(packed):.0f} bytes a stem, {max(packed)} at most")
            print(
                f"Parquet {publish(stems, len(stems) // 4)[1]:.0f} bytes a stem of {SECONDS / 60:.0f} minutes"
            )
            least = [min(each) for each in zip(*costs, strict=True)]
            print(
                f"publishing {options.tracks} tracks: {least[0]:.3f} s of CPU without, {least[1]:.3f} s with it"
            )
            read_windows(measures, storage_options, options.windows)


if __name__ == "__main__":
    main()
