"""Columns of published tracks that the manifest has corrected since: where their rows lie, and what they say now."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any

from sqlalchemy import and_, bindparam, update

from stemline.ledger.cell import dump_cells
from stemline.ledger.database import LedgerDatabase
from stemline.ledger.dataset_registry import lies_in
from stemline.ledger.part import merged_batches
from stemline.ledger.repetition import repeating_verbs
from stemline.ledger.row_mapping import attempt_from_row, attempts_with_tracks, job_from_row
from stemline.ledger.tables import attempts, tracks
from stemline.ledger.transition import LedgerEvent, write_event
from stemline.records import Attempt, Job, Recipe, State


@dataclass(frozen=True, slots=True)
class PublishedAttempt:
    """An attempt whose stems are in the dataset, and the batch by whose name the parts go that have its rows."""

    batch_id: str
    attempt: Attempt
    job: Job


@repeating_verbs
class Corrections:
    """What the ledger knows of rows that are in the tables already."""

    def __init__(self, database: LedgerDatabase) -> None:
        self._database = database

    def published(self, provider: str, recipe: Recipe, track_ids: Collection[str]) -> list[PublishedAttempt]:
        """Give the attempts by which these tracks (at most 10,000) came into the dataset that is written to."""
        query = attempts_with_tracks().where(
            attempts.c.provider == provider,
            attempts.c.recipe == recipe.name,
            attempts.c.track_id.in_(list(track_ids)),
            attempts.c.state == State.PUBLISHED,
            attempts.c.batch_id.is_not(None),
            lies_in(self._database.destination),
        )
        with self._database.read() as connection:
            rows = connection.execute(query.order_by(attempts.c.batch_id)).mappings().all()
            merged = merged_batches(connection, {row["batch_id"] for row in rows})
        return [
            PublishedAttempt(
                merged.get(row["batch_id"], row["batch_id"]), attempt_from_row(row), job_from_row(row)
            )
            for row in rows
        ]

    def book(
        self, run_id: str, provider: str, recipe: Recipe, columns: Mapping[str, Mapping[str, Any]]
    ) -> None:
        """Note the columns that published tracks have in the tables by now, by track id."""
        one = and_(
            tracks.c.provider == provider,
            tracks.c.recipe == recipe.name,
            tracks.c.track_id == bindparam("the_track"),
        )
        values = [
            {"the_track": track_id, "new_columns": dump_cells(cells)} for track_id, cells in columns.items()
        ]
        with self._database.write() as connection:
            connection.execute(update(tracks).where(one).values(columns=bindparam("new_columns")), values)
            event = LedgerEvent("correct", detail={"tracks": len(values)})
            write_event(connection, self._database.clock(), {"run_id": run_id}, event)
