"""Windows for training: from stems where they lie, and from what others read, side by side over the same sound.

    python benchmarks/bench_training.py
    python benchmarks/bench_training.py --tracks 32 --seconds 240 --for 60

Each way gives windows of 6 s of four stems, decoded to float32, for as long as `--for` says, with eight readers at
once where it does not choose that itself: from this disk, and from an S3 server on this machine with 30 ms added to
each request (`distant_store.py`). `random` are windows in any order, one of a track at a time; `all` is every window
of each track that is opened, which is what a pass over everything costs. Bytes and requests are those of the store.
LitData, Lhotse and WebDataset are left out where they are not installed. At the end a process of its own tells what
memory reading takes.
"""

from __future__ import annotations

import argparse
import importlib
import io
import itertools
import json
import random
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any

import datasets
import fsspec
import numpy as np
import soundfile
from bench_collect import s3_server
from distant_store import DistantStore, distant_store

import stemline
from stemline import audio
from stemline.dataset.layout import DatasetLayout
from stemline.dataset.parts import DatasetBatch, write_parts
from stemline.dataset.paths import stem_path
from stemline.dataset.table_row import PublishedRow
from stemline.export.exporting import export_dataset
from stemline.export.options import ExportOptions
from stemline.records import Attempt, CollectedTrack, Job, Phase, Recipe, StemFile, Track
from stemline.settings import Settings
from stemline.storage import open_store
from stemline.verify import StemExpectation, StemMeasures, verify_stem
from stemline_local.songs import make_song

RATE = 44_100
WINDOW = 6
READERS = 8
SONGS = 6
MILLISECONDS = 30.0
STEMS = ("vocals", "drums", "bass", "other")
READER = """
import json, sys, stemline
from pathlib import Path
url, options, stems = sys.argv[1], *map(json.loads, sys.argv[2:])
def memory():
    return next(int(line.split()[1]) >> 10 for line in Path("/proc/self/status").open() if "VmRSS" in line)
windows = stemline.open_dataset(url, options).windows(6, stems, epochs=None)
before, reading = memory(), 0
for _, window in zip(range(400), windows):
    reading = max(reading, memory())
print(f"memory of a process that only reads: {before} MB, {reading} MB while it does")
"""
Blobs = dict[str, bytes]
Windows = Iterable[object]


@dataclass(frozen=True)
class Place:
    """A dataset and its exports, at one place."""

    name: str
    url: str
    options: dict[str, Any]
    store: DistantStore | None = None

    def under(self, *names: str) -> str:
        """Give the URL of something in the dataset."""
        return "/".join((self.url, *names))

    @property
    def files(self) -> fsspec.AbstractFileSystem:
        """What reads it without us."""
        return fsspec.url_to_fs(self.url, **self.options)[0]

    def counts(self) -> tuple[int, int]:
        """Give the requests and bytes so far; of a disk nobody counts them."""
        return self.store.counts() if self.store else (0, 0)


@dataclass(frozen=True)
class Load:
    """What is measured: how many tracks there are of how many seconds, and for how long each way is watched."""

    tracks: int
    seconds: float
    watched: float


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--tracks", type=int, default=24)
    parser.add_argument("--seconds", type=float, default=180.0)
    parser.add_argument("--for", type=float, default=20.0, dest="watched")
    parser.add_argument("--only", default="", help="ways whose name has this word")
    given = parser.parse_args()
    load = Load(given.tracks, given.seconds, given.watched)
    with tempfile.TemporaryDirectory(prefix="stemline-bench-") as folder, places(Path(folder)) as both:
        songs = make_songs(Path(folder), load.seconds)
        for place in both:
            publish(place, songs, load)
            exports(place)
            compare(place, load, given.only)


@contextmanager
def places(folder: Path) -> Iterator[list[Place]]:
    with s3_server(folder / "s3") as options, distant_store(options["endpoint_url"], MILLISECONDS) as far:
        distant = {**options, "endpoint_url": far.endpoint_url}
        yield [
            Place("disk", str(folder / "set"), {}),
            Place("S3, 30 ms away", "s3://bench/set", distant, far),
        ]


def make_songs(folder: Path, seconds: float) -> list[dict[str, tuple[Path, StemMeasures]]]:
    """Give a few songs as flac, with what verifying them measured."""
    songs = []
    for number in range(SONGS):
        song = make_song(number, bpm=80.0 + 9.7 * number, key="Am", seconds=seconds)
        files = {}
        for stem in STEMS:
            path = folder / f"{number}-{stem}.flac"
            audio.encode(path, song.stems[stem], song.sample_rate, "flac")
            files[stem] = (path, verify_stem(path, StemExpectation("flac")))
        songs.append(files)
    return songs


def publish(place: Place, songs: list[dict[str, tuple[Path, StemMeasures]]], load: Load) -> None:
    store, rows = open_store(place.url, place.options), []
    recipe = Recipe("four", "best", "flac")
    for number in range(load.tracks):
        track = Track(f"track{number:05}", f"/music/{number}", number, duration_seconds=load.seconds)
        attempt = Attempt(f"token-{number}", track, recipe, "local", 1, int(load.seconds))
        stems: list[StemFile] = []
        for stem, (file, measures) in songs[number % SONGS].items():
            path = stem_path(attempt, stem, "flac")
            store.put_file(path, file)
            stems.append(measures.stored(stem, path))
        now = datetime(2026, 11, 28, tzinfo=UTC)
        collected = CollectedTrack(attempt.token, tuple(stems), 120.0, "Am", None, None, now)
        rows.append(PublishedRow(attempt, Job(f"job-{number}", Phase.DONE), collected))
    write_parts(store, DatasetBatch("bench", "run", rows), DatasetLayout())


def exports(place: Place) -> None:
    tree = {"name": "bench", "catalogue": {"manifest": "m.csv"}, "recipe": {"stems": "four"}}
    where = {"url": place.url, "storage_options": place.options}
    settings = Settings.model_validate({**tree, "dataset": where, "provider": {"kind": "local"}})
    for form in ("hf", "webdataset", "shar"):
        export_dataset(settings, ExportOptions(form), place.url + f"-{form}")


def compare(place: Place, load: Load, only: str) -> None:
    print(f"\n{place.name}: {load.tracks} tracks of {load.seconds:g} s, four flac stems")
    print(f"{'':44} {'windows/s':>10} {'MB/window':>10} {'requests':>9} {'share':>6}")
    share = window_share(place, load)
    for name, way in ways(place, load).items():
        if only in name:
            measure(place, name, way, (load.watched, share))
    command = [sys.executable, "-c", READER, place.url, json.dumps(place.options), json.dumps(STEMS)]
    subprocess.run(command, check=True)


def window_share(place: Place, load: Load) -> float:
    """Give the bytes that a window has of its stems' objects, on the average."""
    sizes = place.files.du(place.under("audio").removeprefix("s3://"))
    return float(sizes) / load.tracks / load.seconds * WINDOW


def measure(place: Place, name: str, way: Callable[[], Windows], given: tuple[float, float]) -> None:
    """Count the windows that come in a time, from the first one on: what is loaded or indexed once is told apart."""
    watched, share = given
    try:
        began = time.perf_counter()
        windows = iter(way())
        next(windows)
    except ImportError as error:
        print(f"{name:44} {error}")
        return
    first = time.perf_counter() - began
    before, started = place.counts(), time.perf_counter()
    count = 0
    for _ in windows:
        count += 1
        if time.perf_counter() - started > watched:
            break
    took, after = time.perf_counter() - started, place.counts()
    line = f"{name:44} {count / took:10.1f}"
    if place.store:
        size, requests = (after[1] - before[1]) / count, (after[0] - before[0]) / count
        line += f" {size / 1e6:10.2f} {requests:9.1f} {size / share:6.2f}"
    print(f"{line}   first after {first:.1f} s", flush=True)
    del windows


def ways(place: Place, load: Load) -> dict[str, Callable[[], Windows]]:
    return {
        "stemline random": lambda: stemline.open_dataset(place.url, place.options).windows(
            WINDOW, STEMS, epochs=None
        ),
        "whole objects decoded random": partial(threaded, place, load, whole_window),
        "whole objects fetched random": partial(threaded, place, load, sought_window),
        "soundfile over fsspec random": partial(threaded, place, load, file_window),
        "stemline all (in any order)": lambda: stemline.open_dataset(place.url, place.options).windows(
            WINDOW, STEMS, epochs=None
        ),
        **{
            f"{name} {kind}": partial(cut, samples, place, is_all=kind == "all")
            for name, samples in (
                ("datasets streaming", hub_samples),
                ("webdataset", tar_samples),
                ("lhotse shar", shar_samples),
                ("litdata", litdata_samples),
            )
            for kind in ("random", "all")
        },
    }


def threaded(place: Place, load: Load, window: Callable[[Place, str, int], object]) -> Windows:
    """Read windows of tracks by chance, as many at once as there are readers."""
    paths = sorted({path.rpartition("/")[0] for path in place.files.find(place.under("audio"))})
    chance = random.Random(0)  # noqa: S311 - for no secret

    def draw() -> tuple[str, int]:
        return chance.choice(paths), chance.randrange(int(load.seconds) - WINDOW)

    with ThreadPoolExecutor(READERS) as threads:
        pending = [threads.submit(window, place, *draw()) for _ in range(2 * READERS)]
        while True:
            yield pending.pop(0).result()
            pending.append(threads.submit(window, place, *draw()))


def whole_window(place: Place, folder: str, start: int) -> dict[str, np.ndarray]:
    begin, end = start * RATE, (start + WINDOW) * RATE
    found = {}
    for stem in STEMS:
        data = place.files.cat_file(f"{folder}/{stem}.flac")
        found[stem] = soundfile.read(io.BytesIO(data), dtype="float32", always_2d=True)[0][begin:end]
    return found


def sought_window(place: Place, folder: str, start: int) -> dict[str, np.ndarray]:
    return {stem: decoded(place.files.cat_file(f"{folder}/{stem}.flac"), start) for stem in STEMS}


def file_window(place: Place, folder: str, start: int) -> dict[str, np.ndarray]:
    found = {}
    for stem in STEMS:
        with place.files.open(f"{folder}/{stem}.flac", block_size=1 << 18) as file:
            found[stem] = read_window(file, start)
    return found


def decoded(data: bytes, start: int) -> np.ndarray:
    return read_window(io.BytesIO(data), start)


def read_window(file: Any, start: int) -> np.ndarray:  # noqa: ANN401 - whatever soundfile opens
    with soundfile.SoundFile(file) as sound:
        sound.seek(start * RATE)
        return sound.read(WINDOW * RATE, dtype="float32", always_2d=True)


def cut(samples: Callable[[Place], Iterator[Blobs]], place: Place, *, is_all: bool) -> Windows:
    """Give windows of samples as they come: a random one of each, or all; several are decoded at once."""
    chance = random.Random(0)  # noqa: S311 - for no secret

    def windows(sample: Blobs) -> list[list[np.ndarray]]:
        if not is_all:
            start = chance.randrange(shortest(sample) - WINDOW)
            return [[decoded(data, start) for data in sample.values()]]
        whole = [
            soundfile.read(io.BytesIO(data), dtype="float32", always_2d=True)[0] for data in sample.values()
        ]
        size = WINDOW * RATE
        return [[each[at : at + size] for each in whole] for at in range(0, len(whole[0]) - size, size)]

    with ThreadPoolExecutor(READERS) as threads:
        source = itertools.chain.from_iterable(samples(place) for _ in itertools.count())
        pending = [threads.submit(windows, each) for each in itertools.islice(source, 2)]
        for sample in source:
            yield from pending.pop(0).result()
            pending.append(threads.submit(windows, sample))


def shortest(sample: Blobs) -> int:
    return int(min(soundfile.info(io.BytesIO(data)).duration for data in sample.values()))


def hub_samples(place: Place) -> Iterator[Blobs]:
    url = place.url + "-hf/data/*.parquet"
    rows = datasets.load_dataset(
        "parquet", data_files=url, split="train", streaming=True, storage_options=dict(place.options) or None
    )
    for stem in STEMS:
        rows = rows.cast_column(stem, datasets.Audio(decode=False))
    for row in rows.shuffle(seed=0, buffer_size=4):
        yield {stem: row[stem]["bytes"] for stem in STEMS}


def tar_samples(place: Place) -> Iterator[Blobs]:
    import webdataset  # noqa: PLC0415 - may be missing

    opening = importlib.import_module("webdataset.gopen")  # a function has its name in the package
    opening.gopen_schemes["s3"] = lambda url, *_, **__: place.files.open(url, "rb")
    scheme = "" if place.store is None else "s3://"
    tars = [scheme + path for path in place.files.glob(place.url + "-webdataset/*.tar")]
    for sample in webdataset.WebDataset(tars, shardshuffle=len(tars), seed=0).shuffle(4):
        yield {stem: sample[f"{stem}.flac"] for stem in STEMS}


def shar_samples(place: Place) -> Iterator[Blobs]:
    """Have Lhotse read the shards; the sound of a cut is decoded as that of the others is."""
    from lhotse import CutSet  # noqa: PLC0415 - may be missing

    if place.store is not None:
        raise ImportError("opens S3 by the program `aws` alone")
    for each in CutSet.from_shar(in_dir=place.url + "-shar/train", shuffle_shards=True, seed=0):
        parts = {stem: getattr(each, stem) for stem in STEMS}
        yield {stem: part.sources[0].source for stem, part in parts.items()}


def litdata_samples(place: Place) -> Iterator[Blobs]:
    import litdata  # noqa: PLC0415 - may be missing

    if place.store is not None:
        raise ImportError("waits for ever for its first chunk from this server")
    for each in litdata.StreamingDataset(packed(place), shuffle=True, seed=0):
        yield {stem: each[stem] for stem in STEMS}


_PACKING = threading.Lock()


def packed(place: Place) -> str:
    """Give where LitData's chunks of the same objects lie, made the first time."""
    from litdata.streaming.writer import BinaryWriter  # noqa: PLC0415 - may be missing

    target = place.url + "-litdata"
    with _PACKING, tempfile.TemporaryDirectory() as folder:
        if place.files.exists(target):
            return target
        writer = BinaryWriter(folder, chunk_bytes="64MB")
        parents = sorted({path.rpartition("/")[0] for path in place.files.find(place.under("audio"))})
        for number, parent in enumerate(parents):
            writer[number] = {stem: place.files.cat_file(f"{parent}/{stem}.flac") for stem in STEMS}
        writer.done()
        writer.merge()
        place.files.put(folder, target, recursive=True)
    return target


if __name__ == "__main__":
    main()
