"""Files probed a second, warm and cold, over threads and over processes; and a header-less mp3's length.

python benchmarks/bench_probe.py --files 5000
"""

from __future__ import annotations

import argparse
import multiprocessing
import os
import shutil
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

import av
import numpy as np
import soundfile

from stemline.errors import AudioRejected
from stemline.probe.probing import probe, probe_many

SECONDS, RATE = 12, 44_100
SUFFIXES = ("mp3", "flac", "ogg", "wav")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--files", type=int, default=5000)
    parser.add_argument("--folder", type=Path, help="keep the files here and use them again")
    arguments = parser.parse_args()
    folder = arguments.folder or Path(tempfile.mkdtemp(prefix="bench-probe-"))
    try:
        measure(make_files(folder, arguments.files))
        measure_bare_mp3(folder)
    finally:
        if arguments.folder is None:
            shutil.rmtree(folder)


def make_files(folder: Path, count: int) -> list[str]:
    folder.mkdir(parents=True, exist_ok=True)
    samples = song(SECONDS)
    for suffix in SUFFIXES:
        soundfile.write(folder / f"seed.{suffix}", samples, RATE)
    paths = []
    for number in range(count):
        suffix = SUFFIXES[number % len(SUFFIXES)]
        path = folder / f"{number % 100:02d}" / f"{number}.{suffix}"
        path.parent.mkdir(exist_ok=True)
        if not path.exists():
            shutil.copyfile(folder / f"seed.{suffix}", path)
        paths.append(str(path))
    os.sync()
    return paths


def measure(paths: list[str]) -> None:
    print(f"{len(paths)} files of {SECONDS} s: {', '.join(SUFFIXES)}")
    with ProcessPoolExecutor(4, multiprocessing.get_context("spawn")) as pool:
        # Starting and importing is paid once a run, so it is not measured.
        list(pool.map(is_right, paths[:64]))
        ways: dict[str, Callable[[], int]] = {
            "one process": lambda: sum(map(is_right, paths)),
            "probe_many, 4 threads": lambda: through_threads(paths, 4),
            "4 processes": lambda: sum(pool.map(is_right, paths, chunksize=100)),
        }
        for name, way in ways.items():
            for is_cold in (True, False):
                show(paths, name, way, is_cold=is_cold)


def show(paths: list[str], name: str, way: Callable[[], int], *, is_cold: bool) -> None:
    if is_cold:
        forget(paths)
    started = time.perf_counter()
    right = way()
    rate = len(paths) / (time.perf_counter() - started)
    state = "cold" if is_cold else "warm"
    print(f"{name:24} {state}: {rate:8.0f} files/s, {right} of {len(paths)} lengths right")


def is_right(path: str) -> bool:
    return abs(probe(path).duration_seconds - SECONDS) < 0.001


def through_threads(paths: list[str], workers: int) -> int:
    outcomes = (outcome for _, outcome in probe_many(paths, workers=workers))
    return sum(
        not isinstance(facts, AudioRejected) and abs(facts.duration_seconds - SECONDS) < 0.001
        for facts in outcomes
    )


def forget(paths: list[str]) -> None:
    """Drop the files from the page cache."""
    for path in paths:
        descriptor = os.open(path, os.O_RDONLY)
        os.posix_fadvise(descriptor, 0, 0, os.POSIX_FADV_DONTNEED)
        os.close(descriptor)


def measure_bare_mp3(folder: Path) -> None:
    path = folder / "bare.mp3"
    samples = song(240)
    options = {"flags": "+qscale", "global_quality": str(2 * 118)}
    with av.open(str(path), "w", options={"write_xing": "0", "id3v2_version": "0"}) as container:
        stream = container.add_stream("libmp3lame", rate=RATE, layout="stereo", options=options)
        frame = av.AudioFrame.from_ndarray(np.ascontiguousarray(samples.T), format="fltp", layout="stereo")
        frame.sample_rate, frame.pts = RATE, 0
        for piece in [*av.AudioResampler("fltp", "stereo", RATE, frame_size=1152).resample(frame), None]:
            container.mux(stream.encode(piece))
    started = time.perf_counter()
    seconds = probe(str(path)).duration_seconds
    spent = time.perf_counter() - started
    print(
        f"header-less VBR mp3 of 240 s: {seconds:.3f} s in {spent * 1000:.1f} ms "
        f"(libsndfile says {soundfile.info(path).duration:.1f} s)"
    )


def song(seconds: int) -> np.ndarray:
    noise = np.random.default_rng(7).standard_normal((seconds * RATE, 2)).astype(np.float32) * 0.3
    noise[: len(noise) // 3] *= 1e-4
    return noise


if __name__ == "__main__":
    main()
