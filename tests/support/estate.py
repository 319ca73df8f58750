"""A dataset with audio, quarantine, rejects, reports and a release, and the ledger that made it."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from stemline.budget import Limits
from stemline.dataset.doubtful_audio import quarantine_folder
from stemline.dataset.layout import DatasetLayout
from stemline.dataset.metadata import write_rejects, write_run_summary
from stemline.dataset.paths import staged_path, stem_path
from stemline.forgetting.choice import ForgetChoice
from stemline.integrity.finding import IntegrityReport
from stemline.integrity.verification import Thoroughness, check_dataset_integrity
from stemline.ledger import KnownDataset, Ledger, open_ledger
from stemline.publisher import Publisher
from stemline.records import (
    Attempt,
    Code,
    CollectedTrack,
    Failure,
    Job,
    Phase,
    Recipe,
    Reject,
    State,
    StemFile,
    Submission,
    Track,
)
from stemline.report import write_report
from stemline.rewrite.snapshot import live_parts
from stemline.run.forgetting import ForgetCommand, ForgettingReport
from stemline.run.forgotten import remember_forgotten
from stemline.run.releasing import release_dataset
from stemline.settings import Settings
from stemline.storage import Store

RECIPE = Recipe("both", "best", "flac")
CARRIED = pa.schema([("genre", pa.string()), ("plays", pa.int64())])
NOW = datetime(2026, 11, 28, 12, tzinfo=UTC)
DATASET = "a-dataset"


@dataclass
class Estate:
    """What is to be forgotten from: tracks are brought to their states one by one."""

    store: Store
    ledger: Ledger
    layout: DatasetLayout
    run_id: str
    file: Path | None = None
    """The ledger's, where it is one."""
    played: list[str] = field(default_factory=list)

    def track(self, name: str, **columns: Any) -> Track:
        given = {"artist": f"Artist of {name}", "title": f"Song of {name}", "isrc": f"QZ-{name}-26-00001"}
        cells = {**given, "genre": "soul", "plays": 3, **columns}
        place = len(self.played) + 1
        return Track(name, f"/music/{name}.flac", place, duration_seconds=3.0, columns=cells)

    def plan(self, name: str, **columns: Any) -> Track:
        track = self.track(name, **columns)
        self.ledger.tracks.plan(self.run_id, [track])
        self.played.append(name)
        return track

    def ready(self, name: str, number: int = 1, **columns: Any) -> Attempt:
        track, token = self.plan(name, **columns), hashlib.sha256(f"{number}{name}".encode()).hexdigest()[:20]
        attempt = self.ledger.attempts.reserve(self.run_id, track, token, 3, Limits())
        assert isinstance(attempt, Attempt)
        self.ledger.attempts.mark_sending(token, request={"name": f"{name}.flac"})
        self.ledger.attempts.record_submission(token, Submission(f"job-{token}", 3))
        job = Job(f"job-{token}", Phase.DONE, file_name=f"{name}.flac", credits_charged=3)
        self.ledger.attempts.record_ready(token, job)
        return self.ledger.attempts.of_track("local", name)[-1]

    def collect(self, name: str, **columns: Any) -> str:
        attempt = self.ready(name, **columns)
        stems = []
        for stem in RECIPE.stem_names:
            place = stem_path if self.layout.audio == "objects" else staged_path
            path, data = place(attempt, stem, "flac"), f"{stem} of {name}".encode()
            self.store.put_bytes(path, data)
            sha256 = hashlib.sha256(data).hexdigest()
            stems.append(
                StemFile(stem, path, "flac", 44100, 2, 9, 3.0, len(data), sha256, -1.5, None, "clipped")
            )
        collected = CollectedTrack(attempt.token, tuple(stems), 120.5, "Am", "provider", "provider", NOW)
        self.ledger.attempts.record_collected(collected)
        return attempt.token

    def publish(self, *names: str, **columns: Any) -> None:
        tokens = [self.collect(name, **columns) for name in names]
        assert self.publisher.publish(self.run_id, tokens) == len(names)

    @property
    def publisher(self) -> Publisher:
        return Publisher(self.ledger, self.store, self.layout)

    def quarantine(self, name: str, **columns: Any) -> None:
        attempt = self.ready(name, **columns)
        folder = quarantine_folder(attempt)
        self.store.put_bytes(f"{folder}/vocals.flac", f"vocals of {name}".encode())
        self.store.put_bytes(f"{folder}/reason.json", json.dumps({"track_id": name}).encode())
        sentence = f"{name}.flac is too short."
        failure = Failure(attempt.token, State.QUARANTINED, Code.WRONG_DURATION, sentence)
        self.ledger.attempts.fail(failure)

    def reject(self, name: str, row: int = 90) -> None:
        given = Reject(row, name, f"/music/{name}.flac", Code.EMPTY_FILE, f'the file "{name}" is empty.')
        self.ledger.runs.reject(self.run_id, [given])

    def finish(self, reason: str | None = None) -> None:
        """Write what a run leaves behind."""
        summary = {"run_id": self.run_id, "reason": reason}
        self.ledger.runs.finish(self.run_id, 0, summary)
        write_rejects(self.store, self.run_id, self.ledger.queries.rejected_rows(self.run_id))
        write_run_summary(self.store, self.run_id, summary)
        write_report(self.ledger, self.store, self.run_id)

    @property
    def settings(self) -> Settings:
        url = self.store.url()
        sections = {"catalogue": {"manifest": "m.csv"}, "dataset": {"url": url, "audio": self.layout.audio}}
        provider = {"kind": "local", "api_key": "sk"}
        tree = {"name": "night", "recipe": {"stems": "both"}, "provider": provider, **sections}
        if self.file is not None:
            tree["ledger"] = {"url": f"sqlite:///{self.file}"}
        return Settings.model_validate(tree)

    def release(self, name: str = "v1") -> None:
        release_dataset(self.settings, name)

    @property
    def command(self) -> ForgetCommand:
        return ForgetCommand(self.store, self.ledger, DATASET)

    def forget(self, store: Store | None = None, reason: str = "withdrawn", **asked: Any) -> ForgettingReport:
        choice = ForgetChoice(**asked)
        command = ForgetCommand(store or self.store, self.ledger, DATASET)
        return command.forget(command.look(choice, reason), choice)

    def next_command(self) -> None:
        """Do what every command does first."""
        remember_forgotten(self.ledger, self.store, DATASET)

    def check(self) -> IntegrityReport:
        """Verify all of it, byte by byte."""
        return check_dataset_integrity(self.store, self.ledger, Thoroughness())

    def rows(self, table: str = "tracks", folder: str = "") -> list[str]:
        """Give the track ids of a table, or of a release's, as they lie there."""
        keys = live_parts(self.store) if not folder else list(self.store.list(folder))
        mine = [key for key in keys if f"/{table}/" in f"/{key}" and key.endswith(".parquet")]
        found = [
            pq.read_table(pa.BufferReader(self.store.read_bytes(key)), columns=["track_id"]) for key in mine
        ]
        return sorted(name for each in found for name in each.column(0).to_pylist())

    def traces(self, *texts: str) -> list[str]:
        """Give where any of these texts still stands: in a name, or in a byte of the dataset or ledger."""
        found = [f"{key}: {text}" for key in self._names() for text in texts if text in key]
        for key in self.store.list():
            data = self.store.read_bytes(key)
            if key.endswith(".parquet"):
                data += str(pq.read_table(pa.BufferReader(data)).to_pylist()).encode()
            found += [f"{key}: {text}" for text in texts if text.encode() in data]
        for file in self.file.parent.glob("ledger.db*") if self.file is not None else ():
            found += [f"{file.name}: {text}" for text in texts if text.encode() in file.read_bytes()]
        return found

    def _names(self) -> list[str]:
        folder = self.store.local_path("x")
        if folder is None:
            return list(self.store.list())
        return [str(path) for path in folder.parent.rglob("*")]


@contextmanager
def open_estate(folder: Path, store: Store, *, is_copy: bool = False, **layout: Any) -> Iterator[Estate]:
    """Open it with a ledger of its own; a copy goes on with the run it was filled by."""
    with open_ledger(f"sqlite:///{folder}/ledger.db", clock=lambda: NOW) as ledger:
        known = KnownDataset(
            *("local", RECIPE.name, DATASET, store.url()),
            unnamed="none",
            tracks=0,
            last_batch=None,
            adopted={},
            is_adopting=False,
        )
        ledger.datasets.add(known)
        ledger.datasets.write_into(known)
        last = ledger.runs.last("night") if is_copy else None
        run_id = last.run_id if last else ledger.runs.start("night", "local", RECIPE, "digest", "key")
        file = Path(ledger.url.database or "") if ledger.database.is_sqlite else None
        yield Estate(store, ledger, DatasetLayout(**{"carried": CARRIED, **layout}), run_id, file)


def fill(estate: Estate) -> None:
    """Bring tracks of two artists everywhere a track may be."""
    nina = {"artist": "Nina Simone", "title": "Sinnerman"}
    shared = [estate.collect("keeps1"), estate.collect("goes-01", **nina)]
    assert estate.publisher.publish(estate.run_id, shared) == 2
    estate.publish("goes-02", **nina)
    estate.publish("keeps2", "keeps3")
    estate.quarantine("goes-03", **nina)
    estate.plan("goes-04", **nina)
    estate.reject("goes-04")
    estate.finish(reason="goes-02 could not be taken.")
    estate.release()
