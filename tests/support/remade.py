"""A dataset of published tracks some of which are made again, and what must hold of it at any moment."""

from __future__ import annotations

import hashlib
from collections import Counter
from dataclasses import dataclass
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
from support.estate import NOW, RECIPE, Estate

from stemline.activity import SecondOffsets, StemActivity
from stemline.budget import Limits
from stemline.dataset.paths import staged_path, stem_path
from stemline.records import Attempt, CollectedTrack, Job, Phase, StemFile, Submission
from stemline.rewrite.snapshot import live_key, live_parts
from stemline.run.remaking import RemakeQueue
from stemline.storage import Store

ACTIVITY = StemActivity((-20.5, -120.0, -3.1), SecondOffsets((86, 9_000, 10_100), (0, 40_960, 86_016), 86))


@dataclass
class Remade:
    """An estate of which tracks are made again."""

    estate: Estate

    @property
    def run_id(self) -> str:
        return self.estate.run_id

    def new_run(self) -> str:
        """Begin a later run."""
        self.estate.run_id = self.estate.ledger.runs.start("night", "local", RECIPE, "digest", "key")
        return self.run_id

    def plan_again(self, *names: str, **columns: Any) -> int:
        """Ask for tracks again that have the attempt they have now; give how many are planned."""
        ledger = self.estate.ledger
        numbers = ledger.remakes.numbers("local", RECIPE, names)
        rows = [self.estate.track(name, **columns) for name in names]
        return ledger.tracks.plan(self.run_id, rows, again=numbers).revived

    def ready(self, name: str, **columns: Any) -> Attempt:
        """Have a planned track paid and separated."""
        ledger = self.estate.ledger
        number = ledger.remakes.numbers("local", RECIPE, [name])[name] + 1
        token = hashlib.sha256(f"{number}{name}".encode()).hexdigest()[:20]
        made = ledger.attempts.reserve(self.run_id, self.estate.track(name, **columns), token, 3, Limits())
        assert isinstance(made, Attempt)
        ledger.attempts.mark_sending(token)
        ledger.attempts.record_submission(token, Submission(f"job-{token}", 3))
        ledger.attempts.record_ready(token, Job(f"job-{token}", Phase.DONE, credits_charged=3))
        return ledger.attempts.get(token)

    def collect(self, *names: str, **columns: Any) -> list[str]:
        """Have tracks made again as far as their audio is stored; give the tokens of the attempts."""
        assert self.plan_again(*names, **columns) == len(names)
        tokens = []
        for name in names:
            attempt = self.ready(name, **columns)
            stems = tuple(self._store(attempt, stem) for stem in RECIPE.stem_names)
            made = CollectedTrack(attempt.token, stems, 99.0, "Em", "provider", "provider", NOW)
            self.estate.ledger.attempts.record_collected(made)
            tokens.append(attempt.token)
        return tokens

    def _store(self, attempt: Attempt, stem: str) -> StemFile:
        place = stem_path if self.estate.layout.audio == "objects" else staged_path
        path, data = place(attempt, stem, "flac"), f"{stem} of {attempt.token}".encode()
        self.estate.store.put_bytes(path, data)
        facts = ("flac", 44100, 2, 9, 3.0, len(data), hashlib.sha256(data).hexdigest(), -1.5, None, "ok")
        return StemFile(stem, path, *facts, activity=ACTIVITY.pack())

    def queue(self, store: Store | None = None) -> RemakeQueue:
        estate = self.estate
        there = store or estate.store
        publisher = type(estate.publisher)(estate.ledger, there, estate.layout)
        return RemakeQueue(estate.ledger, there, publisher, "local", RECIPE)

    def replace(self, store: Store | None = None) -> int:
        return self.queue(store).apply(self.run_id, patience=0)

    def live(self, table: str = "tracks") -> list[tuple[str, str]]:
        """Give a table's rows as who reads through the snapshot sees them: track id, and token or stem."""
        name = "attempt_token" if table == "tracks" else "stem"
        found = []
        for key in live_parts(self.estate.store):
            if live_key(key).startswith(f"{table}/"):
                rows = pq.read_table(pa.BufferReader(self.estate.store.read_bytes(key)), partitioning=None)
                found += list(zip(rows["track_id"].to_pylist(), rows[name].to_pylist(), strict=True))
        return sorted(found)

    def numbers(self) -> dict[str, int]:
        """Give by which of its attempts each track is in the tables; each is there once, and so are its stems."""
        rows, stems = self.live(), Counter(self.live("stems"))
        assert len({track_id for track_id, _ in rows}) == len(rows), rows
        assert stems == Counter((track_id, stem) for track_id, _ in rows for stem in RECIPE.stem_names)
        of_token = {
            each.token: each.number
            for track_id, _ in rows
            for each in self.estate.ledger.attempts.of_track("local", track_id)
        }
        return {track_id: of_token[token] for track_id, token in rows}

    def charges(self) -> Counter[str]:
        """Give how often each track was charged for."""
        query = "SELECT a.track_id FROM credit_entries e JOIN attempts a ON a.token = e.token WHERE e.kind = 'charge'"
        with self.estate.ledger.database.read() as connection:
            return Counter(track_id for (track_id,) in connection.exec_driver_sql(query))
