"""A small catalogue on disk: a dozen songs in four formats and the manifest that lists them."""

from __future__ import annotations

import csv
import multiprocessing
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from stemline import audio
from stemline_local.songs.notes import KEYS
from stemline_local.songs.song import make_song

COLUMNS = (
    "track_id",
    "path",
    "title",
    "artist",
    "album",
    "license",
    "released_on",
    "duration_seconds",
    "true_bpm",
    "true_key",
)
_FIRST = (
    "Amber",
    "Paper",
    "Quiet",
    "Northern",
    "Golden",
    "Velvet",
    "Second",
    "Hollow",
    "Salt",
    "Early",
    "Slow",
    "Blue",
)
_LAST = (
    "Harbour",
    "Lanterns",
    "Morning",
    "Orchard",
    "Signal",
    "Rivers",
    "Balcony",
    "Comet",
    "Tramline",
    "Meadow",
)
_ARTISTS = (
    "The Lamplight Club",
    "Marisol Fenn",
    "Kite & Anchor",
    "Juniper Row",
    "Otto Vale",
    "Copper Sundays",
    "Ines Halloran",
)
_ALBUMS = ("Window Seats", "Low Tide Letters", "Field Notes", "Nine Bridges")
_LICENSES = ("CC0-1.0", "CC-BY-4.0", "proprietary")


@dataclass(frozen=True, slots=True)
class CatalogueSong:
    """One song of the catalogue before it is made: a manifest row and what to make."""

    folder: Path
    seed: int
    row: dict[str, str]
    seconds: float
    has_truth: bool

    def write(self) -> None:
        """Make the song and write its file and, when asked for, its stems below `truth/<track_id>/`."""
        song = make_song(
            self.seed, bpm=float(self.row["true_bpm"]), key=self.row["true_key"], seconds=self.seconds
        )
        path = self.folder / self.row["path"]
        path.parent.mkdir(parents=True, exist_ok=True)
        audio.encode(path, song.mix, song.sample_rate, path.suffix[1:])
        if not self.has_truth:
            return
        truth = self.folder / "truth" / self.row["track_id"]
        truth.mkdir(parents=True, exist_ok=True)
        for stem, samples in song.stems.items():
            audio.encode(truth / f"{stem}.flac", samples, song.sample_rate, "flac")


def make_catalogue(
    folder: str | Path, *, count: int = 12, seed: int = 1, workers: int | None = None, truth: bool = False
) -> Path:
    """Write `count` songs of 20 to 60 seconds, some 34 each; give the path of `manifest.csv`.

    Locations are relative to the manifest; every third row leaves its duration out. `workers` is how many
    processes work (default: one a core, at most four); `truth` adds the stems as flac in `truth/<track_id>/`.
    """
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    songs = list(_catalogue_songs(folder, count, seed, has_truth=truth))
    workers = workers or min(4, multiprocessing.cpu_count())
    if workers == 1 or count == 1:
        for song in songs:
            song.write()
    else:
        context = multiprocessing.get_context("spawn")
        with ProcessPoolExecutor(workers, mp_context=context) as pool:
            # The longest songs first, so that no process is left with one at the end.
            longest_first = sorted(songs, key=lambda song: -song.seconds)
            list(pool.map(CatalogueSong.write, longest_first))
    manifest = folder / "manifest.csv"
    with manifest.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, COLUMNS)
        writer.writeheader()
        writer.writerows(song.row for song in songs)
    return manifest


def _catalogue_songs(folder: Path, count: int, seed: int, *, has_truth: bool) -> Iterator[CatalogueSong]:
    """Give what to make: different keys, tempi from 72 to 160, lengths that lean to the short side."""
    rng = np.random.default_rng(seed)
    spread = np.linspace(0.0, 1.0, count)
    lengths = rng.permutation(np.round(20 + 40 * spread**2, 1))
    tempi = rng.permutation(np.round(72 + 88 * spread))
    keys = np.resize(rng.permutation(KEYS), count)
    titles = [f"{first} {last}" for first in _FIRST for last in _LAST]
    names = np.resize(rng.permutation(titles), count)
    for i in range(count):
        track_id = f"song-{i + 1:03}"
        row = {
            "track_id": track_id,
            "path": f"audio/{track_id}.{audio.FORMATS[i % len(audio.FORMATS)]}",
            "title": str(names[i]),
            "artist": str(rng.choice(_ARTISTS)),
            "album": str(rng.choice(_ALBUMS)),
            "license": str(rng.choice(_LICENSES)),
            "released_on": str(np.datetime64("2019-01-01") + int(rng.integers(0, 2500))),
            "duration_seconds": "" if i % 3 == 2 else f"{lengths[i]:.1f}",
            "true_bpm": f"{tempi[i]:.0f}",
            "true_key": str(keys[i]),
        }
        yield CatalogueSong(folder, int(rng.integers(2**31)), row, float(lengths[i]), has_truth)
