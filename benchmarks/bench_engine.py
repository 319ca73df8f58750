"""Measures the draft engine: how well it separates a folder of songs with known stems, and how fast.

    python benchmarks/bench_engine.py quality FOLDER [--from 15] [--until 30] [--processes 2]
    python benchmarks/bench_engine.py job [--minutes 4] [--stems four] [--quality best] [--format flac]

FOLDER is what make_independent_set.py writes. SDR is 10 log10(sum(s^2) / sum((s - e)^2)) over a whole song, both
channels, in dB; figures are medians over songs, and "mean" is the mean of the four medians. Beside the engine stand
what any separator must beat (the mixture itself, a quarter of it) and what no mask on this grid can (the oracle:
the share of the mixture each true stem explains). `job` times one whole order, mp3 in, stems out, on one core.
"""

from __future__ import annotations

import os

os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

import argparse
import resource
import tempfile
import time
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

import numpy as np
import soundfile

from stemline import audio
from stemline_local.engine import SeparationOrder, load_engine, separate_file
from stemline_local.engine.draft import QUALITIES
from stemline_local.engine.features import ChunkFeatures, extract_features
from stemline_local.engine.stft import analyse, synthesise
from stemline_local.songs import STEMS as PARTS
from stemline_local.songs import make_song

FOUR = ("vocals", "drums", "bass", "other")
SIX = (*FOUR, "piano", "guitar")
ROWS = ("mixture", "a quarter", *QUALITIES, "best, mono", "oracle")

Stems = dict[str, np.ndarray]


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
    return load_engine("draft").separate(mixture, 44100, stems, quality, lambda _: None)


def oracle(stems: Stems, mixture: np.ndarray) -> Stems:
    """Give the stems the best possible masks of this grid make."""
    analysis = extract_features(mixture, 44100)
    shares = np.clip([share(stems[name], analysis) for name in FOUR], 0, 1)
    shares /= shares.sum(axis=0) + 1e-9
    made = {}
    for name, mask in zip(FOUR, shares, strict=True):
        spectra = analysis.spectra * analysis.grid.expand(mask.astype(np.float32))
        made[name] = synthesise(spectra, len(mixture), analysis.hop)
    return made


def share(stem: np.ndarray, analysis: ChunkFeatures) -> np.ndarray:
    """Give what share of the mixture a stem explains (frames, bands)."""
    spectra, mixture, grid = analyse(stem, analysis.hop), analysis.spectra, analysis.grid
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


def measure_job(options: argparse.Namespace) -> None:
    """Print how long one whole order takes on one core, and its memory."""
    with tempfile.TemporaryDirectory() as folder:
        source = Path(folder) / "song.mp3"
        write_song(source, options.minutes)
        os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
        order = SeparationOrder(options.stems, options.quality, options.format, "draft")
        wall, cpu = time.perf_counter(), time.process_time()
        done = separate_file(source, Path(folder), order, lambda _: None)
        wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(
        f"{done.duration_seconds:.0f} s of mp3 -> {options.stems}, {options.quality}, {options.format}, bpm, key:"
        f" {cpu:.1f} s of one core ({done.duration_seconds / cpu:.1f}x), {wall:.1f} s on the clock,"
        f" peak {memory:.0f} MB"
    )


def write_song(path: Path, minutes: float) -> None:
    """Write an mp3 of a made song in a process of its own, so that making it does not count as our memory."""
    with ProcessPoolExecutor(1) as pool:
        pool.submit(encode_song, path, 60 * minutes).result()


def encode_song(path: Path, seconds: float) -> None:
    song = make_song(7, seconds=min(seconds, 60.0))
    repeats = int(np.ceil(seconds / min(seconds, 60.0)))
    audio.encode(path, np.tile(song.mix, (repeats, 1))[: int(seconds * 44100)], 44100, "mp3")


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
    job.add_argument("--minutes", type=float, default=4)
    job.add_argument("--stems", default="four")
    job.add_argument("--quality", default="best")
    job.add_argument("--format", default="flac")
    job.set_defaults(run=measure_job)
    options = parser.parse_args()
    options.run(options)


if __name__ == "__main__":
    main()
