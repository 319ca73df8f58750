"""What the ledger says lies in a dataset: read page by page, to be held against what is there."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass

from sqlalchemy import ColumnElement, and_, or_, select

from stemline.ledger.database import LedgerDatabase
from stemline.ledger.dataset_registry import STORED, lies_in
from stemline.ledger.part import merged_batches
from stemline.ledger.repetition import repeating_verbs
from stemline.ledger.row_mapping import recipe_from_name
from stemline.ledger.tables import SAME_TRACK, attempts, batches, tracks
from stemline.records import Attempt, Code, State, Track

PAGE = 10_000


def is_superseded() -> ColumnElement[bool]:
    """Give the clause for attempts whose stems later ones have replaced, and whose audio may still be there."""
    ended = (attempts.c.state == State.EXPIRED, attempts.c.code == Code.SUPERSEDED)
    return and_(*ended, attempts.c.result.is_not(None))


@dataclass(frozen=True, slots=True)
class HeldAttempt:
    """An attempt that has, or may soon have, audio in the dataset."""

    token: str
    track_id: str
    provider: str
    recipe: str
    number: int
    state: str

    @property
    def attempt(self) -> Attempt:
        """The attempt as the names of its objects follow from it."""
        recipe = recipe_from_name(self.recipe)
        return Attempt(self.token, Track(self.track_id, "", 0), recipe, self.provider, self.number, 0)


@repeating_verbs
class Holdings:
    """What of the ledger's tracks lies in the dataset it writes into."""

    def __init__(self, database: LedgerDatabase) -> None:
        self._database = database

    def published(self) -> Iterator[Sequence[HeldAttempt]]:
        """Give what counts as published there, some at a time."""
        return self._pages(and_(attempts.c.state == State.PUBLISHED, lies_in(self._database.destination)))

    def owners(self) -> Iterator[Sequence[HeldAttempt]]:
        """Give what may have audio there: what is published or collected, and what a run may be collecting now."""
        stored = and_(attempts.c.state.in_(STORED), lies_in(self._database.destination))
        return self._pages(or_(stored, attempts.c.state == State.READY))

    def replaced(self) -> Iterator[Sequence[HeldAttempt]]:
        """Give those whose rows later stems replace, or have replaced: their audio stays until that is done."""
        remade = select(tracks.c.track_id).where(SAME_TRACK, tracks.c.published_as.is_not(None))
        replacing = and_(attempts.c.state == State.PUBLISHED, remade.correlate(attempts).exists())
        return self._pages(and_(or_(replacing, is_superseded()), lies_in(self._database.destination)))

    def states(self, tokens: Collection[str]) -> dict[str, str]:
        """Give the states of those of these attempts that the ledger knows."""
        wanted, found = sorted(tokens), dict[str, str]()
        with self._database.read() as connection:
            for start in range(0, len(wanted), 5_000):
                some = attempts.c.token.in_(wanted[start : start + 5_000])
                rows = connection.execute(select(attempts.c.token, attempts.c.state).where(some))
                found |= {row.token: row.state for row in rows}
        return found

    def merged(self, batch_ids: Collection[str]) -> set[str]:
        """Give which of these batches have come into the parts of others."""
        wanted, found = sorted(batch_ids), set[str]()
        with self._database.read() as connection:
            for start in range(0, len(wanted), 5_000):
                found |= merged_batches(connection, wanted[start : start + 5_000]).keys()
        return found

    def sources(self, batch_id: str) -> list[str]:
        """Give the batches whose rows are in the parts of this one's name: itself, and those merged into it."""
        mine = or_(batches.c.batch_id == batch_id, batches.c.merged_into == batch_id)
        with self._database.read() as connection:
            return list(
                connection.scalars(select(batches.c.batch_id).where(mine).order_by(batches.c.batch_id))
            )

    def batches(self) -> list[str]:
        """Give the batches that are published, those that are parts of merged rows alone included."""
        query = select(batches.c.batch_id).where(batches.c.published_at.is_not(None))
        with self._database.read() as connection:
            return list(connection.scalars(query.order_by(batches.c.batch_id)))

    def page(self, chosen: ColumnElement[bool], after: str) -> Sequence[HeldAttempt]:
        """Give the next of the chosen attempts behind a token."""
        columns = [attempts.c[name] for name in HeldAttempt.__slots__]
        query = select(*columns).where(chosen, attempts.c.token > after).order_by(attempts.c.token)
        with self._database.read() as connection:
            return [HeldAttempt(*row) for row in connection.execute(query.limit(PAGE))]

    def _pages(self, chosen: ColumnElement[bool]) -> Iterator[Sequence[HeldAttempt]]:
        some = self.page(chosen, "")
        while some:
            yield some
            some = self.page(chosen, some[-1].token)
