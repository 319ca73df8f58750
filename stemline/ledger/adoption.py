"""Adoption: what a dataset's tables tell of published tracks becomes the ledger's own knowledge, paid for once.

Everything is known by its token, so an adoption that was cut off, or is done again, adds only what is missing.
"""

from __future__ import annotations

from sqlalchemy import select

from stemline.ledger.adoption_step import AdoptedBatch, AdoptionCounts, AdoptionStep
from stemline.ledger.database import LedgerDatabase
from stemline.ledger.repetition import repeating_verbs
from stemline.ledger.tables import attempts, batches
from stemline.ledger.transition import LedgerEvent, write_event
from stemline.records import Recipe, State


@repeating_verbs
class Adoption:
    """The verbs that take over what another ledger, or a lost one, had published."""

    def __init__(self, database: LedgerDatabase) -> None:
        self._database = database

    def adopt(self, batch: AdoptedBatch) -> AdoptionCounts:
        """Take over these tracks as published, charged on the day their stems were collected."""
        now = self._database.clock()
        with self._database.write() as connection:
            step = AdoptionStep(connection, now, batch)
            counts = step.run()
            if counts.tracks:
                detail = {"batch_id": batch.batch_id, "tracks": counts.tracks, "credits": counts.credits}
                write_event(connection, now, {}, LedgerEvent("adopt", detail=detail))
        return counts

    def close_batches(self, provider: str, recipe: Recipe) -> None:
        """Book opened batches as published of which nothing is left to be written."""
        now = self._database.clock()
        theirs = (attempts.c.batch_id == batches.c.batch_id,)
        member = select(attempts.c.token).where(
            *theirs, attempts.c.provider == provider, attempts.c.recipe == recipe.name
        )
        waiting = select(attempts.c.token).where(*theirs, attempts.c.state == State.COLLECTED)
        done = (batches.c.published_at.is_(None), member.exists(), ~waiting.exists())
        with self._database.write() as connection:
            connection.execute(batches.update().where(*done).values(published_at=now))
