"""A catalogue of dated rows that nobody has to open, its plans and its ledger."""

from __future__ import annotations

import csv
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from stemline.backfill.beginning import BackfillPlan, planning
from stemline.backfill.freezing import freeze_choice
from stemline.backfill.request import BackfillRequest
from stemline.budget import Limits
from stemline.ledger import Ledger, open_ledger
from stemline.ledger.tables import attempts
from stemline.ownership import claim_dataset
from stemline.records import Code, CollectedTrack, Failure, Job, Phase, Recipe, State, Submission, Track
from stemline.settings import Settings, build_settings
from stemline.storage import open_store

SECONDS = 60
"""How long each track is: so many credits it costs."""


SIZE = 960_000
KEY = "sk_of_nobody"


class Catalogue:
    """A manifest of links, and the configuration of backfills over it."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.manifest = folder, folder / "manifest.csv"
        self.overrides: list[str] = []

    def write(self, dates: Iterable[object], **columns: object) -> None:
        """Write rows t00, t01 … with these dates, each of a minute, all with the same other columns."""
        self.write_rows([{"released_on": each, **columns} for each in dates])

    def write_rows(self, rows: Iterable[dict[str, Any]]) -> None:
        """Write rows, each with an id, a link and a length unless it has its own."""
        whole = [
            {
                "track_id": f"t{number:02d}",
                "uri": f"https://x.example/{number}.mp3",
                "duration_seconds": SECONDS,
            }
            | row
            for number, row in enumerate(rows)
        ]
        with self.manifest.open("w", newline="") as file:
            table = csv.DictWriter(file, list(dict.fromkeys(name for row in whole for name in row)))
            table.writeheader()
            table.writerows(whole)

    def settings(self, *overrides: str) -> Settings:
        tree = {
            "name": "nightly",
            "catalogue": {"manifest": str(self.manifest)},
            "provider": {"kind": "stemsplit", "api_key": KEY},
            "dataset": {"url": str(self.folder / "dataset")},
            "ledger": {"url": f"sqlite:///{self.folder}/nightly.db"},
        }
        return build_settings(tree, self.folder / "nightly.yaml", [*self.overrides, *overrides], {})

    @contextmanager
    def planned(
        self, name: str | None = "old", *, ceiling: int | None = None, share: float = 1.0, **words: str | None
    ) -> Iterator[BackfillPlan]:
        request = BackfillRequest.from_words(words)
        with planning(self.settings(), name, request, ceiling=ceiling, share=share) as plan:
            yield plan

    def chosen(self, **words: str | None) -> list[str]:
        """Give the ids that a backfill would be about."""
        with self.planned(**words) as plan:
            return [row.track.track_id for row in plan.choice.rows.rows()]

    def freeze(self, name: str = "old", **asked: Any) -> None:
        with self.planned(name, **asked) as plan:
            freeze_choice(self.settings(), plan.backfill, plan.choice)

    @contextmanager
    def ledger(self) -> Iterator[Ledger]:
        with open_ledger(self.settings().ledger_url) as ledger:
            yield ledger

    def frozen(self, name: str = "old") -> list[str]:
        """Give the ids that a backfill is about, in the order in which they are sent."""
        with self.ledger() as ledger:
            return [row.track.track_id for _, row in ledger.backfills.to_do(name, -1, 10_000)]


class History:
    """Tracks that an earlier run, with this or another recipe, has brought to a state."""

    def __init__(self, ledger: Ledger, settings: Settings, recipe: Recipe | None = None) -> None:
        self.ledger = ledger
        self.recipe = recipe or settings.recipe.as_recipe()
        store = open_store(settings.dataset.url)
        claim_dataset(ledger, store, settings)
        self.prefix = self.recipe.name.replace("-", "")
        store.put_bytes(f"tracks/by_provider=any/part-{self.prefix}.parquet", b"what is published")
        self.run_id = ledger.runs.start(settings.name, settings.provider.kind, self.recipe, "digest", "key")

    def bring(
        self,
        number: int,
        state: State,
        *,
        location: str | None = None,
        fatal: bool = False,
        code: Code = Code.JOB_FAILED,
    ) -> None:
        """Bring track `number` of the manifest to a state; what failed may be tried again unless it is fatal."""
        ledger, token = self.ledger, f"token{self.prefix}{number}"
        where = location or f"https://x.example/{number}.mp3"
        track = Track(f"t{number:02d}", where, number + 1, duration_seconds=float(SECONDS), size_bytes=SIZE)
        ledger.tracks.plan(self.run_id, [track])
        if state is State.PLANNED:
            return
        if state is State.HELD:
            ledger.tracks.hold(self.run_id, Code.RUN_STOPPED, "It was stopped.")
            return
        ledger.attempts.reserve(self.run_id, track, token, SECONDS, Limits())
        if state is State.SUBMITTING:
            return
        ledger.attempts.mark_sending(token)
        if state is State.UNKNOWN:
            ledger.attempts.mark_unknown(token, "No answer.")
            return
        ledger.attempts.record_submission(token, Submission(f"job-{token}", SECONDS))
        if state is State.PROCESSING:
            return
        if state is State.FAILED:
            ledger.attempts.fail(Failure(token, state, code, "It did not work.", is_retryable=not fatal))
            return
        ledger.attempts.record_ready(token, Job(f"job-{token}", Phase.DONE, credits_charged=SECONDS))
        if state in {State.EXPIRED, State.QUARANTINED}:
            ledger.attempts.fail(Failure(token, state, Code.JOB_FAILED, "It did not work."))
        if state in {State.COLLECTED, State.PUBLISHED}:
            ledger.attempts.record_collected(
                CollectedTrack(token, (), 120.0, "Am", None, None, datetime.now(UTC))
            )
        if state is State.PUBLISHED:
            ledger.batches.open(self.run_id, f"batch-{token}", [token])
            ledger.batches.publish(f"batch-{token}")

    def let_outputs_go(self) -> None:
        """Let so much time pass that the provider keeps nothing of what it made so far."""
        with self.ledger.database.write() as connection:
            connection.execute(attempts.update().values(sent_at=datetime(2020, 1, 1, tzinfo=UTC)))
