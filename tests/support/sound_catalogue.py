"""A dataset of real sound with metadata, published as a run publishes it, for those who export it."""

from __future__ import annotations

import hashlib
import io
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import numpy as np
import pyarrow as pa
import soundfile
from numpy.typing import NDArray

from stemline.dataset.layout import DatasetLayout
from stemline.dataset.parts import DatasetBatch, write_parts
from stemline.dataset.paths import staged_path, stem_path
from stemline.dataset.table_row import PublishedRow
from stemline.records import Attempt, CollectedTrack, Job, Phase, Recipe, StemFile, Track
from stemline.settings import Settings
from stemline.storage import Store, open_store

RATE = 8_000
SECONDS = 3.25


@dataclass
class SoundCatalogue:
    """Tracks of a few seconds; the stems are noise of a seed each."""

    url: str
    storage_options: dict[str, Any] = field(default_factory=dict)
    audio: str = "objects"
    carried: pa.Schema = field(default_factory=lambda: pa.schema([]))
    """The manifest's columns that are none of ours."""
    files: dict[tuple[str, str], bytes] = field(default_factory=dict)
    """What was stored, by track and stem."""

    @property
    def store(self) -> Store:
        return open_store(self.url, self.storage_options)

    @property
    def settings(self) -> Settings:
        dataset = {"url": self.url, "audio": self.audio, "storage_options": self.storage_options}
        tree = {"catalogue": {"manifest": "m.csv"}, "dataset": dataset, "provider": {"kind": "local"}}
        return Settings.model_validate({"name": "night", "recipe": {"stems": "both"}, **tree})

    def publish(self, *names: str, day: int = 20, **how: Any) -> None:
        """Publish tracks as one batch."""
        rows = [self._row(name, day, **how) for name in names]
        batch = hashlib.sha256(f"{names}{day}{how}".encode()).hexdigest()[:20]
        layout = DatasetLayout(carried=self.carried, audio=self.audio)
        write_parts(self.store, DatasetBatch(batch, f"run-{day}", rows), layout)

    def _row(self, name: str, day: int, **how: Any) -> PublishedRow:
        recipe = Recipe("vocals", how.pop("quality", "best"), how.pop("format", "flac"))
        stem_names = how.pop("stems", ("instrumental", "vocals"))
        seconds, subtype = how.pop("seconds", SECONDS), how.pop("subtype", None)
        channels = how.pop("channels", 2)
        columns = {"artist": f"Artist of {name}", "title": name.title(), "license": "CC-BY-4.0", **how}
        track = Track(name, f"/music/{name}.flac", 1, duration_seconds=seconds, columns=columns)
        attempt = Attempt(f"token-{name}-{day}-{recipe.name}", track, recipe, "local", 1, 8)
        noise = [_noise(attempt, stem, (int(seconds * RATE), channels)) for stem in stem_names]
        stems = tuple(
            self._stem(attempt, stem, each, subtype) for stem, each in zip(stem_names, noise, strict=True)
        )
        at = datetime(2026, 11, day, 12, tzinfo=UTC)
        collected = CollectedTrack(attempt.token, stems, 120.5, "Am", "provider", "provider", at)
        return PublishedRow(attempt, Job(f"job-{name}", Phase.DONE, credits_charged=8), collected)

    def _stem(
        self, attempt: Attempt, stem: str, noise: NDArray[np.floating], subtype: str | None
    ) -> StemFile:
        name, audio_format = attempt.track.track_id, attempt.recipe.format
        file = io.BytesIO()
        soundfile.write(file, noise, RATE, format=audio_format.upper(), subtype=subtype)
        data = self.files[name, stem] = file.getvalue()
        path = (stem_path if self.audio == "objects" else staged_path)(attempt, stem, audio_format)
        self.store.put_bytes(path, data)
        frames, channels = noise.shape
        digest = hashlib.sha256(data).hexdigest()
        measured = (RATE, channels, frames, frames / RATE, len(data), digest, -6.0, -20.0)
        return StemFile(stem, path, audio_format, *measured, "ok", silent_share=0.0, clipped_share=0.0)


def _noise(attempt: Attempt, stem: str, shape: tuple[int, int]) -> NDArray[np.floating]:
    return 0.1 * np.random.default_rng([len(stem), *attempt.token.encode()]).standard_normal(shape)
