"""A catalogue of small real audio files, and the configuration of a run over it."""

from __future__ import annotations

import shutil
from datetime import UTC, datetime

import numpy as np
import pytest
import soundfile

from stemline.budget import Limits
from stemline.ledger import open_ledger
from stemline.manifest import ManifestSource
from stemline.ownership import claim_dataset
from stemline.records import Code, CollectedTrack, Failure, Job, Phase, State, Submission, Track
from stemline.settings import build_settings, load_facts
from stemline.storage import open_store

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
    def source(self) -> ManifestSource:
        self.manifest.write_text("\n".join(self.rows) + "\n")
        return ManifestSource(str(self.manifest))

    def lose_ledger(self) -> None:
        """Remove the ledger, whoever has it open."""
        shutil.rmtree(self.folder / "ledger")

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


class History:
    """An earlier run of the same configuration, written into the ledger track by track."""

    def __init__(self, ledger, settings):
        self.ledger = ledger
        recipe = settings.recipe.as_recipe()
        store = open_store(settings.dataset.url)
        claim_dataset(ledger, store, settings)
        store.put_bytes("tracks/by_provider=any/part-batch.parquet", b"what is published")
        self.run_id = ledger.runs.start(settings.name, settings.provider.kind, recipe, "digest", "key")

    def bring(self, name: str, state: State, location: str = "") -> None:
        """Bring a track of 7 credits to a state."""
        ledger, token = self.ledger, f"token-{name}"
        track = Track(name, location or f"/music/{name}.wav", 1, duration_seconds=6.5)
        ledger.tracks.plan(self.run_id, [track])
        if state is State.PLANNED:
            return
        ledger.attempts.reserve(self.run_id, track, token, 7, Limits())
        ledger.attempts.mark_sending(token)
        if state is State.UNKNOWN:
            ledger.attempts.mark_unknown(token, "No answer.")
            return
        ledger.attempts.record_submission(token, Submission(f"job-{name}", 7))
        if state is State.PROCESSING:
            return
        if state is not State.FAILED:
            ledger.attempts.record_ready(token, Job(f"job-{name}", Phase.DONE, credits_charged=7))
        if state in {State.FAILED, State.EXPIRED, State.QUARANTINED}:
            ledger.attempts.fail(Failure(token, state, Code.JOB_FAILED, "It did not work."))
        if state is State.PUBLISHED:
            now = datetime.now(UTC)
            ledger.attempts.record_collected(CollectedTrack(token, (), 120.0, "Am", None, None, now))
            ledger.batches.open(self.run_id, f"batch-{name}", [token])
            ledger.batches.publish(f"batch-{name}")


@pytest.fixture
def history(catalogue):
    settings = catalogue.settings()
    with open_ledger(settings.ledger_url) as ledger:
        yield History(ledger, settings)
