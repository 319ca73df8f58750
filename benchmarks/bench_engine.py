"""Measures the draft engine: how well it separates a folder of songs with known stems, and how fast.

    python benchmarks/bench_engine.py quality FOLDER [--from 15] [--until 30] [--processes 2]
    python benchmarks/bench_engine.py job [--minutes 4 10 60] [--stems four] [--quality best] [--format flac]

FOLDER is what make_independent_set.py writes. SDR is 10 log10(sum(s^2) / sum((s - e)^2)) over a whole song, both
channels, in dB; figures are medians over songs, and "mean" is the mean of the four medians. Beside the engine stand
what any separator must beat (the mixture itself, a quarter of it) and what no mask on this grid can (the oracle:
the share of the mixture each true stem explains). `job` times whole orders, from file to
files with tempo and key, and prints their peak memory, imports included.
"""

from __future__ import annotations

import os

os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

import argparse
import multiprocessing
import resource
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import TypeVar

import numpy as np
import soundfile

from stemline import audio
from stemline_local.engine import SeparationOrder, load_engine, separate_file
from stemline_local.engine.draft import QUALITIES
from stemline_local.engine.features import ChunkFeatures, extract_features
from stemline_local.engine.interface import Mixture
from stemline_local.engine.stft import analyse, synthesise
from stemline_local.songs import STEMS as PARTS
from stemline_local.songs import make_song

FOUR = ("vocals", "drums", "bass", "other")
SIX = (*FOUR, "piano", "guitar")
ROWS = ("mixture", "a quarter", *QUALITIES, "best, mono", "oracle")

Stems = dict[str, np.ndarray]
T = TypeVar("T")


def read_song(folder: Path) -> Stems:
    """Give the six stems of a song."""
    return {part: soundfile.read(folder / f"{part}.wav", dtype="float32")[0] for part in PARTS}


def four_of(stems: Stems) -> Stems:
    """Give the usual four of six stems."""
    rest = stems["other"] + stems["piano"] + stems["guitar"]
    return {**{name: stems[name] for name in FOUR[:3]}, "other": rest}


def sdr(truth: np.ndarray, estimate: np.ndarray) -> float:
    """Give the signal-to-distortion ratio in dB."""
    wanted, wrong = (np.sum(x.astype(np.float64) ** 2) for x in (truth, truth - estimate))
    return float(10 * np.log10((wanted + 1e-9) / (wrong + 1e-9)))


def separate(mixture: np.ndarray, stems: tuple[str, ...], quality: str) -> Stems:
    """Give the draft engine's stems."""
    pieces = load_engine("draft").separate(
        Mixture([mixture], *mixture.shape, sample_rate=44100), stems, quality
    )
    return dict(zip(stems, np.concatenate(list(pieces), axis=1), strict=True))


def oracle(stems: Stems, mixture: np.ndarray) -> Stems:
    """Give the stems the best possible masks of this grid make."""
    analysis = extract_features(mixture, 44100)
    whole = analyse(mixture, analysis.hop)
    shares = np.clip([share(stems[name], whole, analysis) for name in FOUR], 0, 1)
    shares /= shares.sum(axis=0) + 1e-9
    made = {}
    for name, mask in zip(FOUR, shares, strict=True):
        spectra = whole * analysis.grid.expand(mask.astype(np.float32))
        made[name] = synthesise(spectra, len(mixture), analysis.hop)
    return made


def share(stem: np.ndarray, mixture: np.ndarray, analysis: ChunkFeatures) -> np.ndarray:
    """Give what share of a mixture, of which these are the spectra, a stem explains (frames, bands)."""
    spectra, grid = analyse(stem, analysis.hop), analysis.grid
    product = sum(grid.reduce((a * b.conj()).real) for a, b in zip(spectra, mixture, strict=True))
    return product / (sum(grid.reduce(np.abs(channel) ** 2) for channel in mixture) + 1e-12)


def measure_song(folder: Path) -> dict[str, list[float]]:
    """Give for every row the SDR of each stem of one song, and of the instrumental."""
    stems = read_song(folder)
    mixture = sum(stems.values())
    truth = four_of(stems)
    rows = {
        "mixture": dict.fromkeys(FOUR, mixture),
        "a quarter": dict.fromkeys(FOUR, mixture / 4),
        **{quality: separate(mixture, FOUR, quality) for quality in QUALITIES},
        "oracle": oracle(truth, mixture),
    }
    scores = {name: scored(truth, made) for name, made in rows.items()}
    single = {name: samples.mean(axis=1, keepdims=True) for name, samples in truth.items()}
    scores["best, mono"] = scored(single, separate(sum(single.values()), FOUR, "best"))
    six = separate(mixture, SIX, "best")
    scores["six"] = [sdr(stems[name], six[name]) for name in SIX]
    backing = mixture - stems["vocals"]
    voice = separate(backing, ("vocals",), "best")["vocals"]
    scores["false voice"] = [float(np.sum(voice**2) / np.sum(backing**2))]
    return scores


def scored(truth: Stems, made: Stems) -> list[float]:
    """Give the SDR of the four stems and of the instrumental."""
    mixture = sum(truth.values())
    instrumental = sdr(mixture - truth["vocals"], mixture - made["vocals"])
    return [*(sdr(truth[name], made[name]) for name in FOUR), instrumental]


def measure_quality(options: argparse.Namespace) -> None:
    """Print the table of a folder."""
    folders = sorted(path for path in options.folder.iterdir() if path.is_dir())[
        options.since : options.until
    ]
    with ProcessPoolExecutor(options.processes) as pool:
        songs = list(pool.map(measure_song, folders))
    print(f"{len(songs)} songs, {folders[0].name} to {folders[-1].name}; median SDR in dB")
    print("| | vocals | drums | bass | other | mean | instrumental |\n|---|---|---|---|---|---|---|")
    for row in ROWS:
        medians = np.median([song[row] for song in songs], axis=0)
        cells = [*medians[:4], medians[:4].mean(), medians[4]]
        print(f"| {row} | " + " | ".join(f"{cell:.2f}" for cell in cells) + " |")
    six = np.median([song["six"] for song in songs], axis=0)
    print(
        "six stems, best: " + ", ".join(f"{name} {value:.1f}" for name, value in zip(SIX, six, strict=True))
    )
    false = np.median([song["false voice"] for song in songs])
    print(f"without its voice, a song leaves {false:.1%} of its energy in the vocals stem")


def measure_jobs(options: argparse.Namespace) -> None:
    """Print how long whole orders take on one core, and their memory, each in a fresh process."""
    print(
        "| length | order | CPU s | x real time | s on the clock | peak memory |\n|---|---|---|---|---|---|"
    )
    for minutes in options.minutes:
        with tempfile.TemporaryDirectory() as folder:
            source = Path(folder) / f"song.{options.source}"
            in_own_process(encode_song, source, 60 * minutes, options.rate)
            print(in_own_process(measure_job, source, options.order, options.cores), flush=True)


def in_own_process(function: Callable[..., T], *arguments: object) -> T:
    """Call a function where nothing else counts as its memory."""
    with ProcessPoolExecutor(1, multiprocessing.get_context("spawn")) as pool:
        return pool.submit(function, *arguments).result()


def measure_job(source: Path, order: SeparationOrder, cores: int) -> str:
    """Give the row of one order."""
    os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[:cores])
    wall, cpu = time.perf_counter(), time.process_time()
    seconds = separate_file(source, source.parent, order, lambda _: None).duration_seconds
    wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    what = f"{source.suffix[1:]} to {order.stems}, {order.quality}, {order.format}, {order.engine}"
    return f"| {seconds / 60:.0f} min | {what} | {cpu:.1f} | {seconds / cpu:.1f} | {wall:.1f} | {memory:.0f} MB |"


def encode_song(path: Path, seconds: float, rate: int) -> None:
    song = make_song(7, seconds=min(seconds, 60.0))
    left = int(seconds * rate)
    with audio.open_writer(path, rate, 2, path.suffix[1:]) as writer:
        while left > 0:
            writer.write(song.mix[:left])
            left -= len(song.mix)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    commands = parser.add_subparsers(required=True)
    quality = commands.add_parser("quality")
    quality.add_argument("folder", type=Path)
    quality.add_argument("--from", dest="since", type=int, default=0)
    quality.add_argument("--until", type=int, default=None)
    quality.add_argument("--processes", type=int, default=2)
    quality.set_defaults(run=measure_quality)
    job = commands.add_parser("job")
    job.add_argument("--minutes", type=float, nargs="+", default=[4])
    job.add_argument("--stems", default="four")
    job.add_argument("--quality", default="best")
    job.add_argument("--format", default="flac")
    job.add_argument("--engine", default="draft")
    job.add_argument("--source", default="mp3", help="the source's format")
    job.add_argument("--rate", type=int, default=44100, help="the source's sample rate")
    job.add_argument("--cores", type=int, default=1)
    job.set_defaults(run=measure_jobs)
    options = parser.parse_args()
    if options.run is measure_jobs:
        options.order = SeparationOrder(options.stems, options.quality, options.format, options.engine)
    options.run(options)


if __name__ == "__main__":
    main()
