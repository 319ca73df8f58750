"""Collected tracks become published ones: one batch, one part per table and partition, one commit.

The batch is opened in the ledger before its parts are written, so what a crash between the two leaves is finished by
writing the same bytes under the same names again.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass

from stemline.dataset.layout import DatasetLayout
from stemline.dataset.parts import DatasetBatch, discard_staged, write_parts
from stemline.dataset.table_row import PublishedRow
from stemline.ledger import Ledger
from stemline.records import Recipe
from stemline.storage import Store

LEFTOVER_TRACKS = 500
"""How many tracks a batch holds that is made of what an earlier run left behind."""


@dataclass(frozen=True, slots=True)
class Publisher:
    """The one place that adds parts to a dataset."""

    ledger: Ledger
    store: Store
    layout: DatasetLayout

    def publish(self, run_id: str, tokens: Sequence[str]) -> int:
        """Publish these collected attempts as one batch; give how many tracks that are."""
        if not tokens:
            return 0
        batch_id = _batch_id(tokens)
        self.ledger.batches.open(run_id, batch_id, tokens)
        return self._write(run_id, batch_id)

    def publish_leftovers(self, run_id: str, provider: str, recipe: Recipe) -> int:
        """Finish what a crash left: batches opened and not published, tracks collected and in no batch."""
        published = 0
        for batch_id in self.ledger.batches.unpublished(provider, recipe):
            published += self._write(run_id, batch_id)
        while tokens := self.ledger.batches.collected_unbatched(provider, recipe, limit=LEFTOVER_TRACKS):
            published += self.publish(run_id, tokens)
        return published

    def _write(self, run_id: str, batch_id: str) -> int:
        rows = self.ledger.batches.rows(batch_id)
        batch = DatasetBatch(
            batch_id,
            # The run that opened the batch, so that a repeated write gives the same bytes.
            rows[0].run_id if rows else run_id,
            [
                PublishedRow(row.attempt, row.job, row.collected, source_sha256=row.source_sha256)
                for row in rows
            ],
        )
        write_parts(self.store, batch, self.layout)
        count = self.ledger.batches.publish(batch_id)
        discard_staged(self.store, batch, self.layout)
        return count


def _batch_id(tokens: Sequence[str]) -> str:
    """Give a name that follows from the batch's members alone."""
    return hashlib.sha256("\n".join(sorted(tokens)).encode()).hexdigest()[:20]
