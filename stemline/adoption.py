"""A ledger filled from a dataset's tables: what is published there is known, and never paid for again."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

from stemline.dataset.identity import read_ledger_records
from stemline.dataset.stored_tracks import (
    WantedTracks,
    batch_of_part,
    list_stored_parts,
    read_stored_tracks,
)
from stemline.ledger import AdoptedBatch, AdoptionCounts, BatchRow, Ledger, open_ledger
from stemline.manifest.manifest_file import find_source_root
from stemline.ownership import register_dataset, write_record
from stemline.run.forgotten import remember_forgotten
from stemline.run.selection import Selection, source_of
from stemline.settings import Settings
from stemline.splits.split_book import SplitBook, read_split_book
from stemline.storage import Store, open_store


@dataclass(frozen=True, slots=True)
class AdoptionReport:
    """What an adoption came to, and where."""

    counts: AdoptionCounts
    dataset: str
    ledger: str

    def as_tree(self) -> dict[str, Any]:
        """Give the object for `--json`."""
        return {**asdict(self.counts), "dataset": self.dataset, "ledger": self.ledger}


def adopt_dataset(
    settings: Settings, on_progress: Callable[[AdoptionCounts], object] = lambda _: None
) -> AdoptionReport:
    """Take over what the dataset holds of the configuration's provider and recipe; spends nothing.

    Tracks that the ledger knows stay as they are. Cut off, it may be repeated, and until it has ended no run begins.
    """
    store = open_store(settings.dataset.url, settings.dataset.storage_options)
    store.check_writable()
    with open_ledger(settings.ledger_url) as ledger:
        counts = _adopt(ledger, store, settings, on_progress)
        return AdoptionReport(counts, store.url(), ledger.name)


def _adopt(
    ledger: Ledger, store: Store, settings: Settings, on_progress: Callable[[AdoptionCounts], object]
) -> AdoptionCounts:
    provider, recipe = settings.provider.kind, settings.recipe.as_recipe()
    known = register_dataset(ledger, store, settings)
    root = find_source_root(source_of(settings, Selection()))
    remember_forgotten(ledger, store, known.dataset_id, lambda: root)
    ledger.datasets.begin_adopting(provider, recipe, known.dataset_id)
    # Read before the parts: what is published meanwhile is not taken for adopted.
    marks = {record.ledger_id: record.mark(provider, recipe.name) for record in read_ledger_records(store)}
    wanted = WantedTracks(provider, recipe, root)
    parts, lone = list_stored_parts(store)
    splits = read_split_book(store)
    counts = AdoptionCounts(lone_parts=lone)
    for part in parts:
        for stored in read_stored_tracks(store, part, wanted):
            rows = stored if splits is None else _without_decided(stored, splits)
            batch = AdoptedBatch(
                batch_of_part(part.key), known.dataset_id, settings.name, provider, recipe, rows
            )
            bare = sum(not row.collected.stems for row in rows)
            counts += ledger.adoption.adopt(batch) + AdoptionCounts(without_stems=bare)
            on_progress(counts)
    ledger.adoption.close_batches(provider, recipe)
    last = {ledger_id: mark.last_batch for ledger_id, mark in marks.items() if mark and mark.last_batch}
    ledger.datasets.end_adopting(provider, recipe, known.dataset_id, last)
    write_record(ledger, store, settings.name)
    return counts


def _without_decided(rows: Sequence[BatchRow], splits: SplitBook) -> list[BatchRow]:
    """Give rows without the splits that were decided: the ledger has what the manifest said, and it gave none."""
    given = [row.attempt.track.columns for row in rows]
    bare = [{name: value for name, value in columns.items() if name != "split"} for columns in given]
    told = [
        {**columns, "track_id": row.attempt.track.track_id, "source_sha256": row.source_sha256}
        for columns, row in zip(bare, rows, strict=True)
    ]
    found = []
    for row, before, after, split in zip(rows, given, bare, splits.splits_of(told), strict=True):
        track = replace(row.attempt.track, columns=after if before.get("split") == split else before)
        found.append(replace(row, attempt=replace(row.attempt, track=track)))
    return found
