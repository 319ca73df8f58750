"""Accuracy of the tempo and key estimators: on songs whose truth is known, and against Essentia on real music.

    python benchmarks/bench_analysis.py                          60 made songs of 30 s
    python benchmarks/bench_analysis.py --truth FOLDER           FOLDER/<nn>/{mix.wav,truth.json}
    python benchmarks/bench_analysis.py --music FOLDER           agreement with Essentia, where it is installed

Essentia is AGPL: a measuring instrument here, in an environment of its own, never a dependency.
"""

from __future__ import annotations

import argparse
import json
import os
import time
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np

from stemline import audio
from stemline.analysis import estimate_key, estimate_tempo
from stemline.errors import AudioRejected
from stemline_local.songs import make_song
from stemline_local.songs.notes import KEYS

FIRST_SECONDS = 120
FLATS = {"Db": "C#", "Eb": "D#", "Gb": "F#", "Ab": "G#", "Bb": "A#"}


@dataclass(frozen=True)
class Row:
    """One piece: what is right, or what the other tool says, and what we say."""

    true_bpm: float
    true_key: str
    bpm: float | None
    key: str | None
    seconds: float
    cpu_seconds: float


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--songs", type=int, default=60, help="how many made songs (0: none)")
    parser.add_argument("--seed", type=int, default=100)
    parser.add_argument("--truth", type=Path, help="a folder of songs with truth.json")
    parser.add_argument("--music", type=Path, help="a folder of any music, for the comparison with Essentia")
    parser.add_argument("--workers", type=int, default=2)
    wanted = parser.parse_args()
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    with ProcessPoolExecutor(wanted.workers) as pool:
        if wanted.songs:
            made = pool.map(partial(measure_made, seed=wanted.seed), grid(wanted.songs, wanted.seed))
            show(f"{wanted.songs} made songs, 30 s, 60-180 bpm, all 24 keys", made)
        if wanted.truth:
            show(
                f"songs of {wanted.truth}", pool.map(measure_truth, sorted(wanted.truth.glob("*/truth.json")))
            )
        if wanted.music:
            show(f"music of {wanted.music} against Essentia", compared(pool.map, wanted.music))


def grid(count: int, seed: int) -> Iterator[tuple[int, float, str]]:
    """Give (number, bpm, key): tempi evenly over 60 to 180, keys over all 24, shuffled apart."""
    rng = np.random.default_rng(seed)
    tempi = rng.permutation(np.round(np.linspace(60, 180, count)))
    keys = rng.permutation(np.resize(KEYS, count))
    yield from ((i, float(tempi[i]), str(keys[i])) for i in range(count))


def measure_made(wish: tuple[int, float, str], seed: int) -> Row:
    number, bpm, key = wish
    song = make_song(seed + number, bpm=bpm, key=key, seconds=30)
    return measured(song.mix, song.sample_rate, bpm, key)


def measure_truth(path: Path) -> Row:
    truth = json.loads(path.read_text())
    sound = audio.decode(path.parent / "mix.wav")
    return measured(sound.samples, sound.sample_rate, float(truth["bpm"]), sharp_name(truth["key"]))


def measured(samples: audio.Samples, sample_rate: int, bpm: float, key: str) -> Row:
    begun = time.process_time()
    tempo, found = estimate_tempo(samples, sample_rate), estimate_key(samples, sample_rate)
    spent = time.process_time() - begun
    return Row(bpm, key, tempo.bpm, found.name, len(samples) / sample_rate, spent)


def compared(mapped: Callable[..., Iterable[Row | None]], folder: Path) -> list[Row]:
    """Give a row for every piece of 30 s or more; sound effects are left out."""
    paths = (path for path in sorted(folder.rglob("*")) if path.suffix in {".ogg", ".opus", ".mp3", ".flac"})
    music = [path for path in paths if "sfx" not in path.parts]
    return [row for row in mapped(compare, music) if row is not None]


def compare(path: Path) -> Row | None:
    """Give what Essentia says as the truth: RhythmExtractor2013 and KeyExtractor (bgate), the first two minutes."""
    import essentia.standard as essentia  # noqa: PLC0415 - installed only where this comparison is made

    try:
        with audio.decode_blocks(path) as stream:
            most = FIRST_SECONDS * stream.sample_rate
            samples = np.concatenate(list(first_blocks(stream, most)))[:most]
    except AudioRejected:
        return None
    if len(samples) < 30 * stream.sample_rate:
        return None
    mono = audio.resampled(samples.mean(axis=1), 44100, stream.sample_rate)
    bpm = float(essentia.RhythmExtractor2013(method="multifeature")(mono)[0])
    tonic, mode, _ = essentia.KeyExtractor(profileType="bgate")(mono)
    return measured(samples, stream.sample_rate, bpm, sharp_name(f"{tonic} {mode}"))


def first_blocks(stream: audio.AudioBlocks, most: int) -> Iterator[audio.Samples]:
    """Give blocks until there are `most` frames."""
    frames = 0
    for block in stream:
        yield block
        frames += len(block)
        if frames >= most:
            return


def sharp_name(key: str) -> str:
    """Give `Gm` for `G minor`, `G#` for `Ab major`."""
    tonic, _, mode = key.partition(" ")
    if not mode and tonic.endswith("m"):
        tonic, mode = tonic[:-1], "minor"
    return FLATS.get(tonic, tonic) + ("m" if mode == "minor" else "")


def is_near(bpm: float | None, truth: float, times: tuple[float, ...] = (1.0,)) -> bool:
    return bpm is not None and any(abs(bpm * factor / truth - 1) < 0.04 for factor in times)


def show(title: str, rows: Iterable[Row]) -> None:
    table = list(rows)
    octaves = (1.0, 0.5, 2.0, 1 / 3, 3.0)
    usual = [row for row in table if 80 <= row.true_bpm <= 140]
    errors = [abs(row.bpm - row.true_bpm) for row in table if row.bpm and is_near(row.bpm, row.true_bpm)]
    print(f"\n{title}: {len(table)} pieces")
    for name, hits in (
        ("bpm within 4 %", [is_near(row.bpm, row.true_bpm) for row in table]),
        ("bpm within 4 %, 80-140 bpm", [is_near(row.bpm, row.true_bpm) for row in usual]),
        ("bpm up to an octave", [is_near(row.bpm, row.true_bpm, octaves) for row in table]),
        ("no bpm given", [row.bpm is None for row in table]),
        ("key exact", [row.key == row.true_key for row in table]),
        ("no key given", [row.key is None for row in table]),
    ):
        print(f"  {name:28} {np.mean(hits):.3f}")
    print(f"  {'median bpm error':28} {np.median(errors):.3f}")
    print(
        f"  {'times real time, one core':28} {sum(r.seconds for r in table) / sum(r.cpu_seconds for r in table):.0f}"
    )


if __name__ == "__main__":
    main()
