"""One catalogue through every provider gives the same dataset, for all that a reader can tell.

Providers are found in `configs/providers`: a new one is taken in by its facts, as long as the local service speaks its
dialect. The service separates alike for all of them; what differs is how each is asked.
"""

from __future__ import annotations

import csv
import fcntl
import pickle
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.dataset as pads
import pyarrow.parquet as pq
import pytest
import yaml
from conformance_service import SAMPLE_RATE, make_songs, options, prompt_vendors

import flows
from stemline.audio import decode
from stemline.records import STEMS
from stemline.run.selection import Result
from stemline.settings import load_facts
from stemline_local.process import RunningService, running_service

KINDS = sorted(path.stem for path in (Path(__file__).parents[2] / "configs" / "providers").glob("*.yaml"))
RECIPE = {"stems": "four", "quality": "best", "format": "mp3"}
"""What every provider makes."""
TRACKS = 4
"""Every format that the service is sent, and one of them twice."""
SHORTEST = 5.0
"""A vendor takes nothing shorter."""
OWN = {
    "provider",
    "job_id",
    "attempt_token",
    "run_id",
    "collected_at",
    "bpm",
    "key",
    "bpm_source",
    "key_source",
}
"""What may differ from one provider to the next, besides what the parts are filed by."""


@dataclass(frozen=True)
class Done:
    """What came of a provider's run."""

    kind: str
    result: Result
    dataset: Path

    def table(self, name: str) -> pd.DataFrame:
        return pd.read_parquet(self.dataset / name)

    def stem(self, track_id: str, stem: str) -> np.ndarray:
        stems = self.table("stems").set_index(["track_id", "stem"])
        return decode(self.dataset / stems.loc[(track_id, stem), "path"]).samples.mean(axis=1)


def write_config(folder: Path, kind: str, service: RunningService, songs: list[Path]) -> Path:
    folder.mkdir()
    with (folder / "catalogue.csv").open("w", newline="") as file:
        table = csv.writer(file)
        table.writerow(["track_id", "uri", "artist", "plays"])
        table.writerows([f"t{n}", song, f"Artist {n % 2}", n * 10] for n, song in enumerate(songs))
    tree = {
        "name": kind,
        "catalogue": {"manifest": str(folder / "catalogue.csv")},
        "provider": {
            "kind": kind,
            "base_url": service.api_urls[load_facts(kind).dialect],
            "api_key": f"any_{KINDS.index(kind)}",
            "requests_per_minute": 6_000,
        },
        "recipe": RECIPE,
        "dataset": {"url": str(folder / "dataset")},
        "ledger": {"url": f"sqlite:///{folder}/ledger.db"},
        "execution": {"batch_seconds": 0.5, "workers": 1},
    }
    (folder / "config.yaml").write_text(yaml.safe_dump(tree))
    return folder / "config.yaml"


@pytest.fixture(scope="session")
def datasets(tmp_path_factory, worker_id) -> dict[str, Done]:
    """Give each provider's dataset; where tests run side by side, what the first of them has made."""
    if worker_id == "master":
        return process(tmp_path_factory.mktemp("every"))
    folder = tmp_path_factory.getbasetemp().parent / "every"
    folder.mkdir(exist_ok=True)
    with (folder / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        made = folder / "made.pickle"
        if not made.exists():
            made.write_bytes(pickle.dumps(process(folder)))
        return pickle.loads(made.read_bytes())  # noqa: S301 - our own


def process(folder: Path) -> dict[str, Done]:
    """Run the catalogue through all providers at once, for each waits for its jobs."""
    (folder / "music").mkdir()
    songs = make_songs(folder / "music", TRACKS, SHORTEST)
    service_options = options(folder, songs[0], engine="draft")
    with running_service(service_options) as service, prompt_vendors(), ThreadPoolExecutor() as pool:
        spoken = [kind for kind in KINDS if load_facts(kind).dialect in service.api_urls]
        configs = [write_config(folder / kind, kind, service, songs) for kind in spoken]
        results = pool.map(lambda config: flows.start("process_catalogue", config=str(config)), configs)
        return {
            kind: Done(kind, result, folder / kind / "dataset")
            for kind, result in zip(spoken, results, strict=True)
        }


@pytest.fixture(params=KINDS)
def done(request, datasets) -> Done:
    if request.param not in datasets:
        pytest.skip(f"the local service does not speak the dialect of {request.param}")
    return datasets[request.param]


@pytest.fixture
def first(datasets) -> Done:
    """What the others are compared with."""
    return datasets["local"]


def schemas(done: Done) -> list[pa.Schema]:
    """Give the schema of each table's parts, which all have the same."""
    found = []
    for name in ("tracks", "stems", "activity"):
        parts = pads.dataset(done.dataset / name, format="parquet").files
        (schema,) = {
            pq.read_schema(part).remove_metadata().to_string(): pq.read_schema(part) for part in parts
        }.values()
        found.append(schema)
    return found


def test_every_track_is_published_and_paid_for_once(done):
    seconds = done.table("tracks")["duration_seconds"]

    assert done.result.exit_code == 0, done.result
    assert done.result.summary["tracks"] == {"published": TRACKS}
    assert done.result.summary["credits"]["reserved"] == 0
    assert done.result.summary["credits"]["charged"] == np.ceil(seconds.round(3)).sum()


def test_the_schema_is_one(done, first):
    for ours, theirs in zip(schemas(done), schemas(first), strict=True):
        assert ours.equals(theirs, check_metadata=True)


def test_the_tracks_are_the_same(done, first):
    ours, theirs = (each.table("tracks").sort_values("track_id", ignore_index=True) for each in (done, first))
    shared = [name for name in theirs.columns if name not in OWN and not name.startswith("by_")]

    assert list(ours.columns) == list(theirs.columns)
    assert ours["provider"].unique().tolist() == [done.kind]
    pd.testing.assert_frame_equal(ours[shared], theirs[shared])


def test_each_track_has_the_stems_that_were_asked_for(done):
    stems = done.table("stems").groupby("track_id")["stem"].agg(set)

    assert stems.to_dict() == {f"t{n}": set(STEMS["four"]) for n in range(TRACKS)}
    assert set(done.table("stems")["format"]) == {"mp3"}
    assert all("wrong" not in word for word in done.table("stems")["verification"])


def test_every_track_has_a_tempo_and_a_key_from_somebody(done, first):
    """AIStemSplitter tells neither: stemline measures them, and comes to the same."""
    ours, theirs = (each.table("tracks").set_index("track_id").sort_index() for each in (done, first))
    source = "stemline" if load_facts(done.kind).dialect == "aistemsplitter" else "provider"

    assert set(ours["bpm_source"]) == set(ours["key_source"]) == {source}
    assert (ours["bpm"] - theirs["bpm"]).abs().max() < 1
    assert ours["key"].tolist() == theirs["key"].tolist()


@pytest.mark.parametrize("stem", STEMS["four"])
@pytest.mark.long
def test_the_stems_sound_the_same(done, first, stem):
    for number in range(TRACKS):
        ours, theirs = done.stem(f"t{number}", stem), first.stem(f"t{number}", stem)
        assert abs(len(ours) - len(theirs)) < SAMPLE_RATE // 10
        shared = min(len(ours), len(theirs))
        error = np.sqrt(np.mean((ours[:shared] - theirs[:shared]) ** 2))
        assert error < 0.02 * max(np.sqrt(np.mean(theirs**2)), 0.01)
