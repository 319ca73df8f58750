"""Collected tracks become published ones: one batch, one part per table and partition, one commit.

The batch is opened in the ledger before its parts are written, so what a crash between the two leaves is finished by
writing the same bytes under the same names again.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, replace

from stemline.dataset.card import tell_change
from stemline.dataset.doubtful_audio import clear_quarantine
from stemline.dataset.layout import DatasetLayout
from stemline.dataset.metadata import claim_layout
from stemline.dataset.parts import DatasetBatch, discard_staged, find_unpublishable, write_parts
from stemline.dataset.table_row import PublishedRow, table_rows
from stemline.errors import StorageError
from stemline.ledger import Ledger
from stemline.ledger.row_mapping import BatchRow
from stemline.ownership import write_record
from stemline.records import Attempt, PartFile, Recipe
from stemline.splits.split_book import SplitBook
from stemline.storage import Store

LEFTOVER_TRACKS = 500
"""How many tracks a batch holds that is made of what an earlier run left behind."""


@dataclass(frozen=True, slots=True)
class Publisher:
    """The one place that adds parts to a dataset."""

    ledger: Ledger
    store: Store
    layout: DatasetLayout
    splits: SplitBook | None = None
    """What gives each row its split; None: the manifest alone does."""

    def publish(self, run_id: str, tokens: Sequence[str]) -> int:
        """Publish these collected attempts as one batch, without those that cannot be; give how many tracks.

        What replaces older stems is left to whoever rewrites the parts that have these.
        """
        remade = self.ledger.remakes.among(tokens)
        batch_id = self.open_batch(run_id, [token for token in tokens if token not in remade])
        return 0 if batch_id is None else self._write(run_id, batch_id)

    def open_batch(self, run_id: str, tokens: Sequence[str]) -> str | None:
        """Have these collected attempts be one batch, without those that cannot be published; None: there is none."""
        found = self.ledger.batches.collected(tokens)
        reasons = find_unpublishable(_dataset_batch("unopened", run_id, found), self.layout)
        if reasons:
            self.ledger.batches.set_aside(reasons)
        # What was forgotten since it was collected is not found any more.
        here = {row.attempt.token for row in found}
        fit = [token for token in tokens if token in here and token not in reasons]
        if not fit:
            return None
        batch_id = _batch_id(fit)
        self.ledger.batches.open(run_id, batch_id, fit)
        return batch_id

    def publish_leftovers(
        self, run_id: str, provider: str, recipe: Recipe, spared: Collection[str] = ()
    ) -> int:
        """Finish what a crash left: batches opened and not published, tracks collected and in no batch.

        What was collected with a `spared` API key is left alone: a living run is at it.
        """
        of_ledger = self.ledger.batches
        published = 0
        for batch_id in of_ledger.unpublished(provider, recipe, spared=spared):
            published += self._write(run_id, batch_id)
        while tokens := of_ledger.collected_unbatched(provider, recipe, limit=LEFTOVER_TRACKS, spared=spared):
            published += self.publish(run_id, tokens)
        return published

    def publish_set_aside(self, run_id: str, provider: str, recipe: Recipe) -> int:
        """Publish what could not stand in the tables so far, where manifest or layout now say it otherwise."""
        return self.publish(run_id, self.ledger.batches.set_aside_before(provider, recipe))

    def clear_kept(self, attempt: Attempt, *, is_kept: bool = True) -> None:
        """Remove what is in quarantine of a track that is delivered: of this attempt (`is_kept`) and earlier ones."""
        made = [attempt] if is_kept else []
        if attempt.number > 1:
            every = self.ledger.attempts.of_track(attempt.provider, attempt.track.track_id)
            made += [each for each in every if each.recipe == attempt.recipe and each.number < attempt.number]
        for each in made:
            clear_quarantine(self.store, each)

    def write_batch(
        self, run_id: str, batch_id: str, place: Callable[[str], str] = str
    ) -> tuple[DatasetBatch, list[PartFile]]:
        """Write an opened batch's parts, without what cannot be published; give the batch, and what its parts are.

        `place` tells where each is put that waits to be live; what is given bears the keys they have then.
        """
        # The run that opened the batch, so that whoever repeats the write gives the same bytes.
        opener = self.ledger.batches.run_of(batch_id)
        batch = self._with_splits(_dataset_batch(batch_id, opener, self.ledger.batches.rows(batch_id)))
        write_record(self.ledger, self.store, run_id.rsplit("-", 2)[0])
        try:
            return batch, write_parts(self.store, batch, self.layout, place)
        except (ValueError, StorageError):
            if not self._set_aside(batch):
                raise
            batch = self._with_splits(_dataset_batch(batch_id, opener, self.ledger.batches.rows(batch_id)))
            return batch, write_parts(self.store, batch, self.layout, place) if batch.rows else []

    def book_batch(self, batch: DatasetBatch, written: Sequence[PartFile] = ()) -> int:
        """Note that a batch is in the tables, in parts that no snapshot lists yet; give how many tracks that is."""
        count = self.ledger.batches.publish(batch.batch_id, written)
        if self.splits is not None:
            self.splits.note({row.attempt.track.track_id: row.split for row in batch.rows})
        tell_change(self.store)
        discard_staged(self.store, batch, self.layout)
        return min(count, len(batch.rows))

    def _write(self, run_id: str, batch_id: str) -> int:
        batch, written = self.write_batch(run_id, batch_id)
        return self.book_batch(batch, written) if batch.rows else 0

    def _with_splits(self, batch: DatasetBatch) -> DatasetBatch:
        """Give the batch with the split of each row; what was in none yet is decided before a part has it."""
        if self.splits is None:
            return batch
        cells = [table_rows(row, batch.run_id, self.layout).track for row in batch.rows]
        found = self.splits.decide_rows(cells)
        rows = [replace(row, split=split) for row, split in zip(batch.rows, found, strict=True)]
        return replace(batch, rows=rows)

    def _set_aside(self, batch: DatasetBatch) -> bool:
        """Take what cannot be published out of an open batch; tell whether there was anything."""
        # Another run may have given the dataset a type since this one began.
        layout = claim_layout(self.store, self.layout)
        reasons = find_unpublishable(batch, layout, staged_in=self.store)
        if reasons:
            self.ledger.batches.set_aside(reasons)
        return bool(reasons)


def _dataset_batch(batch_id: str, run_id: str, rows: Sequence[BatchRow]) -> DatasetBatch:
    """Give a batch of the ledger as the dataset takes it."""
    published = [
        PublishedRow(
            row.attempt,
            row.job,
            row.collected,
            source_sha256=row.source_sha256,
            credits_charged=row.credits_charged,
        )
        for row in rows
    ]
    return DatasetBatch(batch_id, run_id, published)


def _batch_id(tokens: Sequence[str]) -> str:
    """Give a name that follows from the batch's members alone."""
    return hashlib.sha256("\n".join(sorted(tokens)).encode()).hexdigest()[:20]
