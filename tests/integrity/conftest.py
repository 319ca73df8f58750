"""A ledger and a dataset with a few bytes of audio for each stem."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from support.night import NOW, RECIPE, Night, open_night, row

from stemline.budget import Limits
from stemline.dataset.identity import DATASET_KEY
from stemline.dataset.paths import stem_path
from stemline.integrity.finding import IntegrityReport
from stemline.integrity.verification import Thoroughness, check_dataset_integrity
from stemline.records import CollectedTrack, Job, Phase, StemFile, Submission
from stemline.storage import Store


@dataclass
class CheckedNight:
    """A night whose stems are real objects, and what a check says of it."""

    night: Night
    store: Store
    paths: dict[str, str] = field(default_factory=dict)
    """Where the vocals of each track lie."""

    def ready(self, name: str) -> str:
        """Have a track paid and separated; give its token."""
        ledger, track, token = self.night.ledger, row(name), f"token-{name}"
        ledger.tracks.plan(self.night.run_id, [track])
        ledger.attempts.reserve(self.night.run_id, track, token, 7, Limits())
        ledger.attempts.mark_sending(token)
        ledger.attempts.record_submission(token, Submission(f"job-{name}", 7))
        ledger.attempts.record_ready(token, Job(f"job-{name}", Phase.DONE, credits_charged=7))
        return token

    def store_audio(self, name: str) -> StemFile:
        path = stem_path(self.night.ledger.attempts.get(f"token-{name}"), "vocals", "flac")
        audio = f"the voice of {name}".encode()
        self.store.put_bytes(path, audio)
        self.paths[name] = path
        digest = hashlib.sha256(audio).hexdigest()
        return StemFile("vocals", path, "flac", 44100, 2, 9, 2.5, len(audio), digest, None, None, "ok")

    def collect(self, name: str, *more: StemFile) -> str:
        token = self.ready(name)
        stems = (self.store_audio(name), *more)
        self.night.ledger.attempts.record_collected(
            CollectedTrack(token, stems, 120.0, "Am", None, None, NOW)
        )
        return token

    def publish(self, *names: str) -> None:
        tokens = [self.collect(name) for name in names]
        assert self.night.publisher.publish(self.night.run_id, tokens) == len(names)

    def check(self, **how: Any) -> IntegrityReport:
        return check_dataset_integrity(self.store, self.night.ledger, Thoroughness(**how))

    def told(self, **how: Any) -> dict[str, list[str]]:
        """Give what is wrong, by the words of `--json`; nothing of what is not."""
        tree = self.check(**how).as_tree()
        found = {word: tree[word] for word in ("missing", "extra", "altered")}
        rows = [f"{each['track_id']} {each['fault']}" for each in tree["rows"]]
        return {word: paths for word, paths in {**found, "rows": rows}.items() if paths}

    def part(self, table: str = "tracks") -> str:
        """Give the key of a table's first part."""
        return min(self.store.list(table))

    def file(self, key: str) -> Path:
        path = self.store.local_path(key)
        assert path is not None
        return path


@pytest.fixture
def night(tmp_path) -> Iterator[CheckedNight]:
    with open_night(tmp_path) as opened:
        opened.store.put_bytes(DATASET_KEY, b'{"dataset_id": "set"}')
        assert opened.ledger.datasets.of_dataset("set")[0].recipe == RECIPE.name
        yield CheckedNight(opened, opened.store)
