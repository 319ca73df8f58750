"""Which datasets the ledger has written into, and whether it knows what a dataset says was published there.

A track counts as published in the dataset it was published to. What was collected before datasets had names
(`attempts.dataset_id` is NULL) lies where the first run after that found the ledger's own parts.
"""

from __future__ import annotations

import json
import secrets
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Literal

from sqlalchemy import ColumnElement, Connection, Table, and_, func, not_, or_, select

from stemline.ledger.database import Destination, LedgerDatabase
from stemline.ledger.repetition import repeating_verbs
from stemline.ledger.row_mapping import recipe_from_name
from stemline.ledger.tables import Cells, attempts, batches, datasets, identity
from stemline.records import Recipe, State

STORED = (State.COLLECTED, State.PUBLISHED)
"""The states of a track whose stems lie in a dataset."""


@dataclass(frozen=True, slots=True)
class KnownDataset:
    """One dataset as the ledger knows it, for one provider and recipe."""

    provider: str
    recipe: str
    dataset_id: str
    url: str
    """Where it was last seen."""
    unnamed: Literal["none", "here", "elsewhere"]
    """Whether what was collected before datasets had names lies in it; `none`: there was nothing."""
    tracks: int
    """How many the ledger has put into batches for it."""
    last_batch: str | None
    adopted: Mapping[str, str]
    """The last batch of other ledgers, or of this one before it was lost, whose tracks were adopted."""
    is_adopting: bool
    """Whether an adoption began and did not end."""


@repeating_verbs
class DatasetRegistry:
    """The ledger's own identity, and the datasets it knows."""

    def __init__(self, database: LedgerDatabase) -> None:
        self._database = database

    def ledger_id(self) -> str:
        """Give the ledger's id, made the first time."""
        with self._database.read() as connection:
            found: str | None = connection.execute(select(identity.c.ledger_id)).scalar_one_or_none()
        if found is not None:
            return found
        with self._database.write() as connection:
            found = connection.execute(select(identity.c.ledger_id)).scalar_one_or_none()
            if found is None:
                found = secrets.token_hex(8)
                row = {"number": 1, "ledger_id": found, "made_at": self._database.clock()}
                connection.execute(identity.insert(), [row])
        return found

    def find(self, provider: str, recipe: Recipe, dataset_id: str) -> KnownDataset | None:
        """Give what is known of a dataset; None before the first run into it."""
        with self._database.read() as connection:
            row = (
                connection.execute(select(datasets).where(_one(provider, recipe, dataset_id)))
                .mappings()
                .first()
            )
        return None if row is None else _from_row(row)

    def others(self, provider: str, recipe: Recipe, dataset_id: str) -> list[KnownDataset]:
        """Give the other datasets that were written with this provider and recipe, the newest first."""
        query = (
            select(datasets)
            .where(*_same_key(datasets, provider, recipe), datasets.c.dataset_id != dataset_id)
            .order_by(datasets.c.made_at.desc())
        )
        with self._database.read() as connection:
            return [_from_row(row) for row in connection.execute(query).mappings()]

    def add(self, known: KnownDataset) -> None:
        """Take a dataset up, or note where it was seen now."""
        key = (known.provider, recipe_from_name(known.recipe), known.dataset_id)
        cells = {name: getattr(known, name) for name in KnownDataset.__slots__}
        with self._database.write() as connection:
            row = connection.execute(select(datasets.c.url).where(_one(*key))).first()
            if row is None:
                written = {"adopted": json.dumps(dict(known.adopted)), "made_at": self._database.clock()}
                connection.execute(datasets.insert(), [cells | written])
            elif row.url != known.url:
                connection.execute(datasets.update().where(_one(*key)).values(url=known.url))

    def write_into(self, known: KnownDataset) -> None:
        """Have what is booked as collected from now on, by this object, lie in this dataset."""
        self._database.destination = Destination(known.dataset_id, has_unnamed=known.unnamed != "elsewhere")

    def begin_adopting(self, provider: str, recipe: Recipe, dataset_id: str) -> None:
        """Note that an adoption begins: until it has ended, no run may rely on the ledger."""
        self._update(provider, recipe, dataset_id, is_adopting=True)

    def end_adopting(
        self, provider: str, recipe: Recipe, dataset_id: str, last_batches: Mapping[str, str]
    ) -> None:
        """Note that all was adopted that these ledgers had published by these last batches."""
        tracks, last = self._published(provider, recipe, attempts.c.dataset_id == dataset_id)
        adopted = json.dumps(dict(last_batches))
        values = {"is_adopting": False, "adopted": adopted, "tracks": tracks, "last_batch": last}
        self._update(provider, recipe, dataset_id, **values)

    def of_dataset(self, dataset_id: str) -> list[KnownDataset]:
        """Give what is known of a dataset for every provider and recipe."""
        query = select(datasets).where(datasets.c.dataset_id == dataset_id)
        with self._database.read() as connection:
            return [_from_row(row) for row in connection.execute(query).mappings()]

    def count_unnamed(self, provider: str, recipe: Recipe) -> tuple[int, str | None]:
        """Give how many tracks were published before datasets had names, and the last of their batches."""
        return self._published(provider, recipe, attempts.c.dataset_id.is_(None))

    def holds_batches(self, provider: str, recipe: Recipe, batch_ids: Collection[str]) -> bool:
        """Tell whether any of these batches holds this provider's and recipe's tracks."""
        query = select(attempts.c.token).where(
            *_same_key(attempts, provider, recipe), attempts.c.batch_id.in_(list(batch_ids))
        )
        with self._database.read() as connection:
            return connection.execute(query.limit(1)).first() is not None

    def unknown_batches(self, batch_ids: Collection[str]) -> set[str]:
        """Give which of these batches the ledger does not know."""
        wanted, known = sorted(batch_ids), set()
        with self._database.read() as connection:
            for start in range(0, len(wanted), 5_000):
                some = wanted[start : start + 5_000]
                known |= set(
                    connection.scalars(select(batches.c.batch_id).where(batches.c.batch_id.in_(some)))
                )
        return set(wanted) - known

    def has_unnamed(self, provider: str, recipe: Recipe) -> bool:
        """Tell whether anything was collected before datasets had names."""
        return self._has_stored(provider, recipe, STORED, attempts.c.dataset_id.is_(None))

    def has_published(self, provider: str, recipe: Recipe, dataset_id: str) -> bool:
        """Tell whether the ledger counts anything as published in a dataset."""
        return self._has_stored(provider, recipe, [State.PUBLISHED], attempts.c.dataset_id == dataset_id)

    def stored_elsewhere(
        self, provider: str, recipe: Recipe, known: KnownDataset, track_ids: Collection[str]
    ) -> list[str]:
        """Give which of these tracks (at most 10,000) were published, or collected, in another dataset."""
        destination = Destination(known.dataset_id, has_unnamed=known.unnamed != "elsewhere")
        query = select(attempts.c.track_id).where(
            *_same_key(attempts, provider, recipe),
            attempts.c.track_id.in_(list(track_ids)),
            attempts.c.state.in_(STORED),
            not_(lies_in(destination)),
        )
        with self._database.read() as connection:
            return list(connection.scalars(query.order_by(attempts.c.track_id)))

    def _published(self, provider: str, recipe: Recipe, where: ColumnElement[bool]) -> tuple[int, str | None]:
        ours = (*_same_key(attempts, provider, recipe), attempts.c.state == State.PUBLISHED, where)
        newest = (
            select(attempts.c.batch_id)
            .where(*ours, attempts.c.batch_id.is_not(None))
            .order_by(attempts.c.updated_at.desc(), attempts.c.batch_id)
            .limit(1)
        )
        with self._database.read() as connection:
            count = connection.execute(select(func.count()).select_from(attempts).where(*ours)).scalar_one()
            return count, connection.execute(newest).scalar_one_or_none()

    def _has_stored(
        self, provider: str, recipe: Recipe, states: Collection[State], where: ColumnElement[bool]
    ) -> bool:
        query = select(attempts.c.token).where(
            *_same_key(attempts, provider, recipe), attempts.c.state.in_(list(states)), where
        )
        with self._database.read() as connection:
            return connection.execute(query.limit(1)).first() is not None

    def _update(self, provider: str, recipe: Recipe, dataset_id: str, **values: object) -> None:
        with self._database.write() as connection:
            connection.execute(datasets.update().where(_one(provider, recipe, dataset_id)).values(**values))


def lies_in(destination: Destination | None) -> ColumnElement[bool]:
    """Give the clause for attempts whose stems lie in this dataset; None: wherever they lie."""
    if destination is None:
        return attempts.c.token.is_not(None)
    here = and_(attempts.c.dataset_id.is_not(None), attempts.c.dataset_id == destination.dataset_id)
    return or_(here, attempts.c.dataset_id.is_(None)) if destination.has_unnamed else here


def count_batch(
    connection: Connection, destination: Destination | None, batch_id: str, tokens: Collection[str]
) -> None:
    """Count a new batch's tracks for the dataset it will be written to."""
    if destination is None:
        return
    member = select(attempts.c.provider, attempts.c.recipe).where(attempts.c.token.in_(list(tokens))).limit(1)
    found = connection.execute(member).one()
    one = _one(found.provider, recipe_from_name(found.recipe), destination.dataset_id)
    counted = {"tracks": datasets.c.tracks + len(tokens), "last_batch": batch_id}
    connection.execute(datasets.update().where(one).values(**counted))


def discount_track(connection: Connection, destination: Destination | None, attempt: Cells) -> None:
    """Take a track that is not published after all out of the count of its dataset."""
    if destination is None:
        return
    one = _one(attempt["provider"], recipe_from_name(attempt["recipe"]), destination.dataset_id)
    connection.execute(datasets.update().where(one).values(tracks=datasets.c.tracks - 1))


def _same_key(table: Table, provider: str, recipe: Recipe) -> tuple[ColumnElement[bool], ColumnElement[bool]]:
    return table.c.provider == provider, table.c.recipe == recipe.name


def _one(provider: str, recipe: Recipe, dataset_id: str) -> ColumnElement[bool]:
    return and_(*_same_key(datasets, provider, recipe), datasets.c.dataset_id == dataset_id)


def _from_row(row: Cells) -> KnownDataset:
    cells = {name: row[name] for name in KnownDataset.__slots__}
    return KnownDataset(**{**cells, "adopted": json.loads(row["adopted"])})
