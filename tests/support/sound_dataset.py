"""A small dataset of real sound, published as a run publishes it."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import soundfile

from stemline.dataset.layout import DatasetLayout
from stemline.dataset.parts import DatasetBatch, write_parts
from stemline.dataset.paths import staged_path, stem_path
from stemline.dataset.table_row import PublishedRow
from stemline.records import LINKED, Attempt, CollectedTrack, Job, Phase, Recipe, StemFile, Track
from stemline.rewrite.compaction import Compaction, list_partitions
from stemline.rewrite.rewrite import Rewriter
from stemline.rewrite.snapshot import live_parts
from stemline.run.releasing import release_dataset
from stemline.settings import Settings
from stemline.storage import Store, open_store
from stemline.verify import StemExpectation, verify_stem

RATE = 22_050
SECONDS = 7.4
SUBTYPES = {
    "flac": "PCM_16",
    "24.flac": "PCM_24",
    "wav": "PCM_16",
    "24.wav": "PCM_24",
    "float.wav": "FLOAT",
    "8.wav": "PCM_U8",
}


def sound(seed: int, rate: int = RATE, channels: int = 2, seconds: float = SECONDS) -> np.ndarray:
    """A tone, and noise in every other second; each seed is quieter."""
    clock = np.arange(int(seconds * rate)) / rate
    noise = np.random.default_rng(seed).standard_normal((len(clock), channels)) * (clock % 2 < 1)[:, None]
    return ((0.3 * np.sin((2000 + 300 * seed) * clock)[:, None] + 0.08 * noise) / (1 + seed)).astype(
        np.float32
    )


@dataclass
class SoundDataset:
    """A dataset whose stems are files that were really verified."""

    url: str
    scratch: Path
    storage_options: dict[str, Any] = field(default_factory=dict)
    audio: str = "objects"
    batches: int = 0

    @property
    def store(self) -> Store:
        return open_store(self.url, self.storage_options)

    @property
    def layout(self) -> DatasetLayout:
        return DatasetLayout(audio=self.audio)

    def publish(
        self,
        track_id: str,
        *,
        kind: str = "flac",
        has_activity: bool = True,
        mix: str | None = None,
        **how: Any,
    ) -> None:
        """Publish a track with two stems; `kind` ends with the format."""
        self.batches += 1
        day = how.pop("day", 20)
        recipe = Recipe("vocals", how.pop("quality", "best"), kind.rpartition(".")[2])
        attempt = Attempt(
            f"token-{track_id}-{self.batches}",
            _track(track_id, how.pop("columns", {})),
            recipe,
            "local",
            how.pop("number", 1),
            8,
        )
        stems = tuple(
            self.store_stem(attempt, stem, kind, number, **how)
            for number, stem in enumerate(how.pop("stems", ("instrumental", "vocals")))
        )
        if mix is not None:
            stems = (
                *stems,
                StemFile("mix", mix, "flac", None, None, None, SECONDS, None, None, None, None, LINKED),
            )
        if not has_activity:
            stems = tuple(replace(stem, activity=None) for stem in stems)
        at = datetime(2026, 11, day, 12, tzinfo=UTC)
        collected = CollectedTrack(attempt.token, stems, 120.0, "Am", "provider", "provider", at)
        row = PublishedRow(attempt, Job(f"job-{self.batches}", Phase.DONE, credits_charged=8), collected)
        write_parts(self.store, DatasetBatch(f"{self.batches:020x}", f"run-{day}", [row]), self.layout)

    def store_stem(self, attempt: Attempt, stem: str, kind: str, seed: int, **how: Any) -> StemFile:
        audio_format = kind.rpartition(".")[2]
        file = self.scratch / f"{attempt.token}-{stem}.{audio_format}"
        rate = how.get("rate", RATE)
        soundfile.write(
            file,
            sound(seed, rate, how.get("channels", 2), how.get("seconds", SECONDS)),
            rate,
            format=audio_format.upper(),
            subtype=SUBTYPES.get(kind),
        )
        with file.open("ab") as more:
            more.write(how.get("tail", b""))
        where = stem_path if self.audio == "objects" else staged_path
        path = where(attempt, stem, audio_format)
        self.store.put_file(path, file)
        return verify_stem(file, StemExpectation(audio_format)).stored(stem, path)

    def compact(self, store: Store | None = None) -> None:
        store = store or self.store
        rewriter = Rewriter(store, dict, lambda *_: None, lambda: None, lambda: datetime.now(UTC))
        partitions, _ = list_partitions(store, live_parts(store), set)
        Compaction(rewriter, self.layout).run(partitions)

    def release(self, name: str) -> None:
        where = {"url": self.url, "storage_options": self.storage_options, "audio": self.audio}
        tree = {"catalogue": {"manifest": "songs.csv"}, "provider": {"kind": "local"}, "dataset": where}
        release_dataset(
            Settings.model_validate({"name": "songs", "recipe": {"stems": "vocals"}, **tree}), name
        )

    def file(self, track_id: str, stem: str) -> Path:
        (file,) = self.scratch.glob(f"token-{track_id}-*-{stem}.*")
        return file

    def whole(self, track_id: str, stem: str) -> np.ndarray:
        """The whole stem, decoded by what is not ours."""
        return soundfile.read(self.file(track_id, stem), dtype="float32", always_2d=True)[0]

    sound = staticmethod(sound)


def _track(track_id: str, columns: dict[str, Any]) -> Track:
    return Track(
        track_id,
        f"/music/{track_id}.flac",
        1,
        duration_seconds=SECONDS,
        columns={"artist": "Nina", **columns},
    )
