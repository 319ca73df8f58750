"""Published tracks whose columns the manifest has changed since: noticed while a run plans, rewritten when it ends.

What was noticed is kept nowhere: the ledger has the columns as the tables have them until these are rewritten. So
what a crash cuts off, or a run leaves, the next one notices again.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import islice
from typing import Any

from stemline.dataset.correction import CorrectedRow, correct_parts, keys_by_batch, parts_holding
from stemline.dataset.layout import DatasetLayout
from stemline.dataset.metadata import claim_layout
from stemline.dataset.renewal import is_behind, renew_parts
from stemline.errors import LeaseHeld, StemlineError, StorageError
from stemline.ledger import Ledger, PublishedAttempt
from stemline.ledger.cell import load_cells
from stemline.plan.metadata_check import ColumnComparison
from stemline.plan.relocation import Relocations
from stemline.records import Recipe, State, Track
from stemline.rewrite.rewrite import Rewriter
from stemline.run.rewriting import rewriting
from stemline.run.splitting import SplitKeeping
from stemline.storage import Store
from stemline.wording import counted

PartsAndRows = tuple[Sequence[str], Mapping[str, CorrectedRow]]
"""Keys of parts, and rows that lie in them, by their tokens."""
MOST_TRACKS = 50_000
"""A run rewrites the rows of so many; the next one goes on from there."""
TRACKS_AT_ONCE = 5_000


@dataclass
class CorrectionQueue:
    """The tracks of a run to be corrected in its dataset."""

    ledger: Ledger
    store: Store
    layout: DatasetLayout
    provider: str
    recipe: Recipe
    pending: dict[str, dict[str, Any]] = field(default_factory=dict)
    """Columns of published tracks as the tables should have them, by track id."""
    given_before: set[str] = field(default_factory=set)
    """Those of them whose split the manifest gave."""
    relocations: Relocations = field(default_factory=Relocations)
    splits: SplitKeeping | None = None
    """What gives rows their splits; None: the manifest alone does."""
    problem: str = ""
    """Why some could not be corrected."""

    def notice(self, tracks: Sequence[Track]) -> None:
        """Compare planned rows (at most 10,000) with what the ledger has of them: only what is published differs."""
        compare = ColumnComparison(self.layout)
        known = self.ledger.tracks.written(self.provider, self.recipe, [track.track_id for track in tracks])
        self.relocations.note(tracks, known)
        room = max(0, MOST_TRACKS - len(self.pending))
        for track in islice(compare.changed(tracks, known), room):
            before = known[track.track_id].columns
            self.pending[track.track_id] = compare.merged(track.columns, before)
            if load_cells(before).get("split") is not None:
                self.given_before.add(track.track_id)
        if self.splits is not None:
            self.splits.notice(self._not_standing(tracks), len(tracks))

    def _not_standing(self, tracks: Sequence[Track]) -> list[Track]:
        """Give those of some rows that the tables do not have as they are."""
        states = self.ledger.tracks.states(self.provider, self.recipe, [track.track_id for track in tracks])
        return [
            track
            for track in tracks
            if states.get(track.track_id) is not State.PUBLISHED or track.track_id in self.pending
        ]

    def apply(self, run_id: str) -> int:
        """Rewrite the parts that hold what was noticed, and those that lack a column by now; give how many tracks.

        While another run is at the parts, all is left to the next one.
        """
        lacks_splits = self.splits is not None and not self.splits.is_whole
        if not self.pending and not lacks_splits and not is_behind(self.store, self.layout):
            return 0
        destination = self.ledger.database.destination
        if destination is None:
            return 0
        try:
            with rewriting(self.ledger, self.store, destination.dataset_id, patience=0) as rewriter:
                if is_behind(self.store, self.layout):
                    with rewriter.changing():
                        renew_parts(self.store, self.layout, rewriter.require_hold)
                corrected = self._correct(run_id, rewriter)
                if self.splits is not None:
                    self.splits.fill(rewriter)
                return corrected
        except LeaseHeld:
            return 0
        except StemlineError as error:
            self.problem = str(error)
            return 0

    def _correct(self, run_id: str, rewriter: Rewriter) -> int:
        if not self.pending:
            return 0
        layout, (work, strays) = claim_layout(self.store, self.layout), self._rows_by_parts()
        found = self._correct_all(run_id, work, layout, rewriter)
        for _, rows in work:
            strays |= {token: row for token, row in rows.items() if token not in found}
        if strays:
            keys = [key for some in keys_by_batch(self.store).values() for key in some]
            holding = parts_holding(self.store, keys, strays.keys())
            found |= self._correct_all(run_id, [([key], strays) for key in holding], layout, rewriter)
        lost = strays.keys() - found
        if lost and not self.problem:
            self.problem = (
                f"{counted(len(lost))} to be corrected are in no part: `stemline verify` tells why."
            )
        return len(found)

    def _correct_all(
        self, run_id: str, work: Sequence[PartsAndRows], layout: DatasetLayout, rewriter: Rewriter
    ) -> set[str]:
        with rewriter.changing({key for keys, _ in work for key in keys}):
            found = [self._correct_rows(run_id, each, layout, rewriter.require_hold) for each in work]
        return set[str]().union(*found)

    def _correct_rows(
        self, run_id: str, work: PartsAndRows, layout: DatasetLayout, require_hold: Callable[[], None]
    ) -> set[str]:
        """Give the tokens that were found."""
        keys, rows = work
        try:
            found = correct_parts(self.store, keys, layout, rows, require_hold)
        except (StorageError, ValueError) as error:
            self.problem = str(error)
            return set()
        columns = {rows[token].attempt.track.track_id: rows[token].attempt.track.columns for token in found}
        if columns:
            self.ledger.corrections.book(run_id, self.provider, self.recipe, columns)
        return found

    def _rows_by_parts(self) -> tuple[list[PartsAndRows], dict[str, CorrectedRow]]:
        """Give what is to be corrected by the parts in which it should lie, and what the ledger cannot tell of.

        It cannot where another ledger has merged the parts. Nor does it know all: of a batch that lay in several
        partitions it tells into which part the last of them was merged.
        """
        keys = keys_by_batch(self.store)
        work, strays = list[PartsAndRows](), dict[str, CorrectedRow]()
        for batch_id, rows in self._rows_by_batch().items():
            if batch_id in keys:
                work.append((keys[batch_id], rows))
            else:
                strays |= rows
        return work, strays

    def _rows_by_batch(self) -> Mapping[str, dict[str, CorrectedRow]]:
        batches: dict[str, dict[str, CorrectedRow]] = {}
        names = list(self.pending)
        for start in range(0, len(names), TRACKS_AT_ONCE):
            some = names[start : start + TRACKS_AT_ONCE]
            for each in self.ledger.corrections.published(self.provider, self.recipe, some):
                batches.setdefault(each.batch_id, {})[each.attempt.token] = self._corrected(each)
        return batches

    def _corrected(self, published: PublishedAttempt) -> CorrectedRow:
        track = published.attempt.track
        now = replace(track, columns=self.pending[track.track_id])
        find_split = None if self.splits is None else self.splits.find_split
        was_given = track.track_id in self.given_before
        return CorrectedRow(replace(published.attempt, track=now), published.job, was_given, find_split)
