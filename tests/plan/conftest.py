"""A catalogue of small real audio files, and the configuration of a run over it."""

from __future__ import annotations

import numpy as np
import pytest
import soundfile

from stemline.manifest import Source
from stemline.settings import build_settings, load_facts

RATE = 8000


class Catalogue:
    """A folder of tones, its manifest, and a configuration."""

    def __init__(self, folder):
        self.folder = folder
        self.rows = ["track_id,path,duration_seconds,priority"]
        self.manifest = folder / "manifest.csv"
        self.facts = load_facts("stemsplit")

    def tone(self, name: str, seconds: float, priority: int = 0) -> None:
        """Add a row with a file whose length must be found out."""
        time = np.arange(int(seconds * RATE)) / RATE
        soundfile.write(self.folder / f"{name}.wav", 0.3 * np.sin(440 * time), RATE)
        self.row(name, f"{name}.wav", "", priority)

    def row(self, name: str, location: str, seconds: object = "", priority: int = 0) -> None:
        """Add a row as it is."""
        self.rows.append(f"{name},{location},{seconds},{priority}")

    @property
    def source(self) -> Source:
        self.manifest.write_text("\n".join(self.rows) + "\n")
        return Source(str(self.manifest))

    def settings(self, *overrides: str):
        tree = {
            "name": "nightly",
            "catalogue": {"manifest": str(self.manifest)},
            "provider": {"kind": "stemsplit"},
            "dataset": {"url": str(self.folder / "dataset")},
            "ledger": {"url": f"sqlite:///{self.folder}/ledger/nightly.db"},
        }
        return build_settings(tree, self.folder / "nightly.yaml", overrides, {})


@pytest.fixture
def catalogue(tmp_path):
    return Catalogue(tmp_path)
