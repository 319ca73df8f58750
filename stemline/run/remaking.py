"""Tracks that were made again: their new rows take the place of the older ones, in one rewrite for each batch.

What is to be replaced is kept nowhere but in the ledger, which has the older attempt as published until the rewrite is
through. So what a crash cuts off, or a run leaves, the next one does.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial

from stemline.dataset.paths import attempt_folder
from stemline.dataset.stored_tracks import batch_of_part
from stemline.errors import LeaseHeld, StemlineError, StorageError
from stemline.ledger import Ledger
from stemline.ownership import write_record
from stemline.publisher import LEFTOVER_TRACKS, Publisher
from stemline.records import PartFile, Recipe
from stemline.release.cited_audio import audio_named_in, cited_audio
from stemline.rewrite.part_rows import RowChoice, tracks_in, write_without
from stemline.rewrite.rewrite import Replacement, RewritePlan, Rewriter
from stemline.rewrite.snapshot import live_key, live_parts, staged_key
from stemline.run.lease import PATIENCE
from stemline.run.rewriting import rewriting
from stemline.storage import Store, scratch_folder

CAUSE = "again"
"""What a snapshot says it was made for."""
ORDER = {"tracks": 0, "activity": 1, "stems": 2}
"""The tables in the order in which older rows go: no reader finds a track without its stems."""


@dataclass
class RemakeQueue:
    """What was collected to take the place of older stems in a dataset."""

    ledger: Ledger
    store: Store
    publisher: Publisher
    provider: str
    recipe: Recipe
    waiting: int = 0
    """How many tracks this run has collected since it last rewrote parts."""
    problem: str = ""
    """Why some could not be put in place."""
    removal: AudioRemoval = field(init=False)

    def __post_init__(self) -> None:
        """Have what removes older audio beside it."""
        self.removal = AudioRemoval(self.ledger, self.store)

    def add(self, run_id: str, tracks: int) -> int:
        """Note collected tracks; put them in place once they are as many as a rewrite takes, and give how many were."""
        self.waiting += tracks
        return self.apply(run_id, patience=0) if self.waiting >= LEFTOVER_TRACKS else 0

    def apply(self, run_id: str, patience: float = PATIENCE) -> int:
        """Put all that waits in place of the older rows, and remove audio that nobody names then; give how many tracks.

        While another run is at the parts for longer than it is waited for, all is left to the next one.
        """
        destination, self.waiting = self.ledger.database.destination, 0
        is_there = any(self.ledger.remakes.waiting(self.provider, self.recipe, 1))
        if destination is None or not (is_there or self.removal.is_due):
            return 0
        try:
            with rewriting(self.ledger, self.store, destination.dataset_id, patience) as rewriter:
                replaced = self._replace_all(run_id, rewriter)
                if replaced:  # the older ones count no more
                    write_record(self.ledger, self.store, run_id.rsplit("-", 2)[0])
                self.removal.run(rewriter)
                return replaced
        except LeaseHeld:
            return 0
        except StemlineError as error:
            self.problem = str(error)
            return 0

    def _replace_all(self, run_id: str, rewriter: Rewriter) -> int:
        opened, _ = self.ledger.remakes.waiting(self.provider, self.recipe, 0)
        replaced = sum(self._replace(run_id, batch_id, rewriter) for batch_id in opened)
        while tokens := self.ledger.remakes.waiting(self.provider, self.recipe, LEFTOVER_TRACKS)[1]:
            batch_id = self.publisher.open_batch(run_id, tokens)
            count = 0 if batch_id is None else self._replace(run_id, batch_id, rewriter)
            replaced += count
            if not count:  # none of them can stand in the tables
                break
        return replaced

    def _replace(self, run_id: str, batch_id: str, rewriter: Rewriter) -> int:
        """Put a batch in place of the older rows; after a crash it may find none of these any more."""
        rewrite_id = f"{CAUSE}-{batch_id}"
        rewriter.require_hold()
        batch, new = self.publisher.write_batch(run_id, batch_id, partial(staged_key, rewrite_id))
        if not batch.rows:
            return 0
        old = [
            self._without(rewriter, rewrite_id, key, choice)
            for key, choice in self._holding(batch_id).items()
        ]
        rewriter.commit(RewritePlan(rewrite_id, CAUSE, _in_order(new, old)))
        for each in old:
            if not each.new:
                self.store.prune(each.old[0].rpartition("/")[0])
        return self.publisher.book_batch(batch)

    def _without(self, rewriter: Rewriter, rewrite_id: str, key: str, choice: RowChoice) -> Replacement:
        with scratch_folder() as folder:
            path = folder / "part.parquet"
            left = write_without(self.store, key, choice.is_chosen, path)
            return Replacement((key,), (rewriter.stage(rewrite_id, key, path),) if left else ())

    def _holding(self, batch_id: str) -> dict[str, RowChoice]:
        """Give the live parts that hold older rows of a batch's tracks, and which rows these are.

        They are looked for where the ledger says that they lie, and everywhere where they are not there.
        """
        old = self.ledger.remakes.replaced(batch_id)
        choice = RowChoice(self.provider, self.recipe, old.track_ids)
        others = [key for key in live_parts(self.store) if batch_of_part(key) != batch_id]
        likely = [key for key in others if batch_of_part(key) in old.batch_ids]
        found = dict(tracks_in(self.store, likely, choice))
        tracks = [ids for key, ids in found.items() if live_key(key).startswith("tracks/")]
        if frozenset[str]().union(*tracks) != old.track_ids:
            rest = [key for key in others if key not in set(likely)]
            found |= dict(tracks_in(self.store, rest, choice))
        return dict.fromkeys(found, choice)


def _in_order(new: Sequence[PartFile], old: Sequence[Replacement]) -> tuple[Replacement, ...]:
    """Give the steps of a rewrite: the new rows of the tracks table come right before its older ones go."""
    last = [part for part in new if part.key.startswith("tracks/")]
    first = [part for part in new if part not in last]
    ordered = sorted(old, key=lambda each: (ORDER[each.old[0].partition("/")[0]], each.old[0]))
    return Replacement((), (*first, *last)), *ordered


@dataclass
class AudioRemoval:
    """Removes the audio of stems that later ones have replaced, but for what a release names."""

    ledger: Ledger
    store: Store

    @property
    def is_due(self) -> bool:
        """Whether there may be any."""
        return next(self.ledger.remakes.superseded(), None) is not None

    def run(self, rewriter: Rewriter) -> None:
        """Remove it, while nobody copies parts that name it; what releases name stays for as long as they do."""
        for page in self.ledger.remakes.superseded():
            folders = [f"audio/{attempt_folder(each.attempt)}" for each in page]
            keys = {key for folder in folders for key in self.store.list(folder)}
            try:
                keys -= set(self._named(keys))
            except StorageError:  # what names audio cannot be read: all of it stays
                return
            rewriter.require_hold()
            self.store.delete_all(sorted(keys))
            for folder in folders:
                self.store.prune(folder)
            self.ledger.remakes.book_removed([each.token for each in page])

    def _named(self, keys: Collection[str]) -> Iterator[str]:
        """Give those of some objects that a release names, or that the tables do all the same."""
        if not keys:
            return
        yield from (path for path in cited_audio(self.store) if path in keys)
        for part in live_parts(self.store):
            if live_key(part).startswith("stems/"):
                yield from (path for path in audio_named_in(self.store, part) if path in keys)
