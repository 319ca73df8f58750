"""Whether a ledger knows what a dataset holds: asked before a credit is spent, for what it forgot is paid for twice."""

from __future__ import annotations

import shlex
from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Literal

from stemline.dataset.identity import (
    LedgerRecord,
    PublishedMark,
    make_dataset_id,
    published_key,
    read_dataset_id,
    read_ledger_records,
    write_ledger_record,
)
from stemline.dataset.stored_tracks import batch_of_part, list_track_parts, part_holds
from stemline.errors import DatasetReplaced, LedgerOutdated
from stemline.ledger import KnownDataset, Ledger
from stemline.records import Recipe
from stemline.settings import Settings
from stemline.storage import Store

NOT_MADE = "none"
"""Stands for the id of a dataset that has none yet."""
NAMED_TRACKS = 3


@dataclass(frozen=True, slots=True)
class DatasetClaim:
    """A dataset that a ledger may publish in: it knows what is there."""

    ledger: Ledger | None
    known: KnownDataset
    others: Sequence[KnownDataset] = ()
    """Further datasets in which the ledger has published with this provider and recipe."""

    def require_here(self, track_ids: Collection[str]) -> None:
        """Raise DatasetReplaced when any of these tracks (at most 10,000) was published in another dataset."""
        if self.ledger is None or not (self.others or self.known.unnamed == "elsewhere"):
            return
        recipe = Recipe(*self.known.recipe.split("-"))
        found = self.ledger.datasets.stored_elsewhere(self.known.provider, recipe, self.known, track_ids)
        if found:
            raise self._replaced(found)

    def require_all_here(self, pages: Iterable[Collection[str]]) -> None:
        """Do as `require_here` for track ids page by page; they are not read where nothing can lie elsewhere."""
        if self.others or self.known.unnamed == "elsewhere":
            for track_ids in pages:
                self.require_here(track_ids)

    def _replaced(self, track_ids: Sequence[str]) -> DatasetReplaced:
        names = ", ".join(track_ids[:NAMED_TRACKS])
        where = self.others[0].url if self.others else None
        if where == self.known.url:
            sentence = f"the dataset that was at {where}, and another one, or an emptied one, is there now"
        else:
            sentence = f"the dataset at {where}" if where else "another dataset"
            sentence += f", not to the one at {self.known.url}"
        return DatasetReplaced(
            f"Tracks of this run, such as {names}, were published to {sentence}.",
            fix="Point dataset.url back to it; for a copy of it run `stemline adopt`; "
            "to pay for them again give the new dataset a ledger.url of its own.",
        )


def claim_dataset(ledger: Ledger, store: Store, settings: Settings) -> DatasetClaim:
    """Have the ledger publish in this dataset from now on, and the dataset keep a record of the ledger.

    Raises LedgerOutdated when the dataset holds tracks of this provider and recipe that the ledger does not know, and
    DatasetReplaced when what the ledger published in it is gone.
    """
    claim = _check(ledger, store, settings, _make_id(ledger, store))
    _write_into(ledger, store, claim.known)
    write_record(ledger, store, settings.name)
    return claim


def register_dataset(ledger: Ledger, store: Store, settings: Settings) -> KnownDataset:
    """Have the ledger write into this dataset whatever it holds: to adopt that is what it is for."""
    provider, recipe, dataset_id = (
        settings.provider.kind,
        settings.recipe.as_recipe(),
        _make_id(ledger, store),
    )
    known = ledger.datasets.find(provider, recipe, dataset_id)
    if known is None:
        known = _first_seen(ledger, store, (provider, recipe), dataset_id)
    _write_into(ledger, store, known)
    return known


def check_dataset(ledger: Ledger | None, store: Store, settings: Settings) -> DatasetClaim:
    """Do as `claim_dataset`, and write nothing: for who looks only; None is a ledger that is not there yet."""
    return _check(ledger, store, settings, read_dataset_id(store) or NOT_MADE)


def write_record(ledger: Ledger, store: Store, name: str) -> None:
    """Have the dataset's record of the ledger say how far it has come, unless it says so already.

    It is written before a batch's parts are, so that no part is there that no record tells of.
    """
    destination = ledger.database.destination
    if destination is None:
        return
    ledger_id = ledger.datasets.ledger_id()
    published = {
        published_key(known.provider, known.recipe): PublishedMark(known.tracks, known.last_batch)
        for known in ledger.datasets.of_dataset(destination.dataset_id)
    }
    record = LedgerRecord(ledger_id, name, published)
    if record not in read_ledger_records(store, ledger_id):
        write_ledger_record(store, record)


def _write_into(ledger: Ledger, store: Store, known: KnownDataset) -> None:
    ledger.datasets.add(replace(known, url=store.url()))
    ledger.datasets.write_into(known)


def _make_id(ledger: Ledger, store: Store) -> str:
    known = read_dataset_id(store)
    if known is not None:
        return known
    with ledger.database.write():  # runs that begin at the same instant over one ledger agree on it
        return make_dataset_id(store)


def _check(ledger: Ledger | None, store: Store, settings: Settings, dataset_id: str) -> DatasetClaim:
    provider, recipe = settings.provider.kind, settings.recipe.as_recipe()
    known = ledger.datasets.find(provider, recipe, dataset_id) if ledger is not None else None
    _require_knowledge(ledger, store, settings, known)
    if ledger is None:
        return DatasetClaim(None, _unseen(store, provider, recipe, dataset_id))
    others = ledger.datasets.others(provider, recipe, dataset_id)
    if known is None:
        known = _first_seen(ledger, store, (provider, recipe), dataset_id)
    elif (
        known.tracks
        and ledger.datasets.has_published(provider, recipe, dataset_id)
        and next(list_track_parts(store), None) is None
    ):
        raise DatasetReplaced(
            f"The {known.tracks:,} tracks that were published in {store.url()} are no longer in its tables.",
            fix="Put the dataset back from a copy, or begin anew with another dataset.url and ledger.url.",
        )
    return DatasetClaim(ledger, known, others)


def _require_knowledge(
    ledger: Ledger | None, store: Store, settings: Settings, known: KnownDataset | None
) -> None:
    """Raise LedgerOutdated when the dataset tells of published tracks that the ledger does not know."""
    provider, recipe = settings.provider.kind, settings.recipe.as_recipe()
    what = f"of {provider} {recipe.name}"
    if known is not None and known.is_adopting:
        raise _outdated(settings, f"The adoption of the tracks {what} in {store.url()} was cut off.")
    records = read_ledger_records(store)
    marks = [(record, record.mark(provider, recipe.name)) for record in records]
    found = [(record, mark) for record, mark in marks if mark is not None]
    for record, mark in found:
        if mark.tracks and not _is_known(ledger, known, record, mark):
            raise _outdated(
                settings,
                f"{store.url()} holds {mark.tracks:,} tracks {what}, published under the name {record.name}, "
                "and this ledger does not know all of them: they would be paid for again.",
            )
    if not found and (part := next(_unknown_parts(ledger, store, (provider, recipe)), None)):
        raise _outdated(
            settings,
            f"{store.url()} holds published tracks {what}, such as those of {part}, "
            "and this ledger does not know them: they would be paid for again.",
        )


def _is_known(
    ledger: Ledger | None, known: KnownDataset | None, record: LedgerRecord, mark: PublishedMark
) -> bool:
    if ledger is None or mark.last_batch is None:
        return False
    if known is not None and known.adopted.get(record.ledger_id) == mark.last_batch:
        return True
    return not ledger.datasets.unknown_batches([mark.last_batch])


def _unknown_parts(ledger: Ledger | None, store: Store, key: tuple[str, Recipe]) -> Iterator[str]:
    """Give the parts of ours that the ledger does not know, in a dataset written before ledgers had records."""
    parts = list(list_track_parts(store))
    batches = {batch_of_part(part) for part in parts}
    unknown = batches if ledger is None else ledger.datasets.unknown_batches(batches)
    return (
        part for part in sorted(parts) if batch_of_part(part) in unknown and part_holds(store, part, *key)
    )


def _first_seen(ledger: Ledger, store: Store, key: tuple[str, Recipe], dataset_id: str) -> KnownDataset:
    """Give what to note of a dataset that the ledger has not written into since datasets have names."""
    fresh = _unseen(store, *key, dataset_id)
    if not ledger.datasets.has_unnamed(*key):
        return fresh
    tracks, last = ledger.datasets.count_unnamed(*key)
    batches = {batch_of_part(part) for part in list_track_parts(store)}
    if tracks and not ledger.datasets.holds_batches(*key, batches):
        return _unseen(store, *key, dataset_id, unnamed="elsewhere")
    return _unseen(store, *key, dataset_id, unnamed="here", tracks=tracks, last_batch=last)


def _unseen(  # noqa: PLR0913 - what is noted of one
    store: Store,
    provider: str,
    recipe: Recipe,
    dataset_id: str,
    *,
    unnamed: Literal["none", "here", "elsewhere"] = "none",
    tracks: int = 0,
    last_batch: str | None = None,
) -> KnownDataset:
    return KnownDataset(
        provider,
        recipe.name,
        dataset_id,
        store.url(),
        unnamed=unnamed,
        tracks=tracks,
        last_batch=last_batch,
        adopted={},
        is_adopting=False,
    )


def _outdated(settings: Settings, sentence: str) -> LedgerOutdated:
    config = settings.origin[0] if settings.origin else "CONFIG"
    return LedgerOutdated(
        sentence,
        fix=f"Name the ledger that knows them in ledger.url, or run `stemline adopt {shlex.quote(str(config))}`.",
    )
