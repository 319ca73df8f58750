"""How a source-separation trainer reads songs: what docs/dataset_types.md of Music-Source-Separation-Training asks for.

Written from that page. Sound is float32, (frames, channels).
"""

from __future__ import annotations

import csv
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import soundfile
from numpy.typing import NDArray

Sound = NDArray[np.float32]


class Trainer:
    """Reads chunks of some frames for some instruments, at one sample rate."""

    def __init__(self, instruments: Sequence[str], frames: int, sample_rate: int = 44100) -> None:
        self.instruments, self.frames, self.sample_rate = instruments, frames, sample_rate
        self._rng = np.random.default_rng(0)

    def songs(self, folder: Path) -> list[Path]:
        """Types 1, 4, 6: every folder in the folder is a song."""
        return sorted(path for path in folder.iterdir() if path.is_dir() and not path.name.startswith("."))

    def type_1(self, folder: Path) -> dict[str, Sound]:
        """Each instrument of a song of its own, from a place of its own."""
        songs = self.songs(folder)
        chosen = {name: songs[self._rng.integers(len(songs))] for name in self.instruments}
        return {name: self._anywhere(song / f"{name}.wav") for name, song in chosen.items()}

    def type_3(self, *lists: Path) -> dict[str, Sound]:
        """Each instrument of any file that the lists have for it; paths are seen from where the trainer runs."""
        rows = [row for path in lists for row in csv.DictReader(path.read_text("utf-8").splitlines())]
        paths = {
            name: [Path(row["path"]) for row in rows if row["instrum"] == name] for name in self.instruments
        }
        return {name: self._anywhere(files[self._rng.integers(len(files))]) for name, files in paths.items()}

    def type_4(self, folder: Path) -> dict[str, Sound]:
        """All instruments of one song from one place."""
        return self._aligned(folder, self.instruments)

    def type_6(self, folder: Path) -> dict[str, Sound]:
        """As type 4, with the song's mixture, which need not be the sum."""
        return self._aligned(folder, [*self.instruments, "mixture"])

    def validation(self, folder: Path) -> list[dict[str, Sound]]:
        """Whole songs with their mixtures."""
        return [
            {name: self._read(song / f"{name}.wav", 0, None) for name in [*self.instruments, "mixture"]}
            for song in self.songs(folder)
        ]

    def _aligned(self, folder: Path, names: Sequence[str]) -> dict[str, Sound]:
        songs = self.songs(folder)
        song = songs[self._rng.integers(len(songs))]
        length = min(soundfile.info(song / f"{name}.wav").frames for name in self.instruments)
        start = int(self._rng.integers(length - self.frames + 1))
        return {name: self._read(song / f"{name}.wav", start, self.frames) for name in names}

    def _anywhere(self, path: Path) -> Sound:
        start = int(self._rng.integers(soundfile.info(path).frames - self.frames + 1))
        return self._read(path, start, self.frames)

    def _read(self, path: Path, start: int, frames: int | None) -> Sound:
        """Trainers resample nothing: the file's rate has to be theirs."""
        samples, rate = soundfile.read(
            path, -1 if frames is None else frames, start, dtype="float32", always_2d=True
        )
        assert rate == self.sample_rate, f"{path} has {rate} Hz"
        assert samples.shape[1] in {1, 2}, f"{path} has {samples.shape[1]} channels"
        assert frames in {None, len(samples)}, f"{path} ends within the chunk"
        return samples
