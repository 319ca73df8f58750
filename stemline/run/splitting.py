"""Tracks put into splits while a run plans, before any is sent; rows without one brought to theirs when it ends."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from itertools import chain
from typing import Any

import pyarrow as pa

from stemline.dataset.layout import DatasetLayout
from stemline.dataset.metadata import are_splits_whole, claim_layout, mark_splits, part_keys
from stemline.dataset.split_cells import SplitCells
from stemline.dataset.table_schemas import carried_columns
from stemline.errors import ConfigError
from stemline.records import Track
from stemline.rewrite.rewrite import Rewriter
from stemline.rewrite.snapshot import live_key, live_parts
from stemline.settings.split_settings import SplitSettings
from stemline.splits.assignment import TiedTracks
from stemline.splits.atoms import given_split, needs_nobody, track_atoms
from stemline.splits.split_book import SplitBook, open_split_book
from stemline.storage import Store


def keep_splits(
    store: Store, settings: SplitSettings | None, layout: DatasetLayout, run_id: str
) -> SplitKeeping | None:
    """Give the splits of a run's tracks as they are configured; None: the manifest alone gives any."""
    book = open_split_book(store, settings, run_id)
    return None if book is None else SplitKeeping(book, layout)


@dataclass
class SplitKeeping:
    """The splits of a run's tracks."""

    book: SplitBook
    layout: DatasetLayout
    tied: TiedTracks = field(default_factory=TiedTracks)
    """The tracks of the catalogue that the tables do not have as they are."""

    def check(self) -> None:
        """Raise ConfigError where the dataset is not, or cannot be, split by what the configuration says."""
        if self._columns:
            self.book.read()

    @cached_property
    def is_whole(self) -> bool:
        """Whether the tables had every split that was decided when the run began."""
        return are_splits_whole(self.book.store)

    def notice(self, tracks: Sequence[Track], surveyed: int) -> None:
        """Take in rows of the manifest that are new or changed; `surveyed` counts all that were read with them."""
        self.tied.surveyed += surveyed
        for track in tracks:
            cells = {"track_id": track.track_id} | {
                column: track.columns.get(name) for column, name in self._columns.items()
            }
            if given_split(cells) is not None or not needs_nobody(cells, self.book.by):
                self.tied.add(track_atoms(cells, self.book.by), given_split(cells))

    def decide(self) -> None:
        """Put all that was noticed into splits, and what is in the tables already where that was never done.

        Raises ConfigError where the dataset is not split by what the configuration says; StorageError.
        """
        if not self.is_whole:
            self._notice_stored()
        if len(self.tied):
            self.book.decide(self.tied)
            self.tied = TiedTracks()

    def find_split(self, row: Mapping[str, Any]) -> str | None:
        """Give the split of a row of the tracks table that has changed."""
        (split,) = self.book.decide_rows([row])
        return split

    def fill(self, rewriter: Rewriter) -> None:
        """Write the parts anew that have rows without the split that was decided; only once, as later ones have it."""
        store = self.book.store
        if self.is_whole:
            return
        cells = replace(self._cells, layout=claim_layout(store, self.layout))
        keys, find = part_keys(store, "tracks"), self.book.decide_rows
        if "split" not in self.layout.partition_by:  # a row stays in the folder it was published in
            lacking = [key for key in keys if cells.are_lacking(key, find)]
            with rewriter.changing(set(lacking)):
                for key in lacking:
                    self.book.note(cells.fill(key, find, rewriter.require_hold))
        mark_splits(store, are_whole=True)
        if not set(part_keys(store, "tracks")) <= {
            *keys
        }:  # somebody published meanwhile, and may give no splits
            mark_splits(store, are_whole=False)
        self.__dict__["is_whole"] = True

    def _notice_stored(self) -> None:
        for key in live_parts(self.book.store):
            if live_key(key).startswith("tracks/"):
                for row in chain.from_iterable(self._cells.rows(key)):
                    self.tied.add(track_atoms(row, self.book.by), given_split(row))

    @property
    def _cells(self) -> SplitCells:
        return SplitCells(self.book.store, self.layout, self.book.by)

    @cached_property
    def _columns(self) -> Mapping[str, str]:
        """The manifest's names of the columns that a split follows from, by those of the tracks table."""
        layout, by = self.layout, self.book.by
        texts = [
            each.name for each in layout.tracks if pa.types.is_string(each.type) and each.name != "split"
        ]
        if by not in texts:
            raise ConfigError(
                f"dataset.splits.by names {by!r}, which is no text column of the tracks table.",
                fix=f"Its text columns are {', '.join(texts)}.",
            )
        carried = {
            column: name for name, column in carried_columns(layout.carried, layout.partition_by).items()
        }
        return {
            name: carried.get(name, name) for name in {"artist", "title", "isrc", "split", by} - {"track_id"}
        }
