"""What failed and a person wants tried again: redriven, as what a queue sets aside is."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import ColumnElement, and_, func, not_, select

from stemline.ledger.database import LedgerDatabase
from stemline.ledger.membership import add_members, of_provider
from stemline.ledger.quarantine import is_collectable
from stemline.ledger.repetition import once, repeating_verbs
from stemline.ledger.run import find_run
from stemline.ledger.tables import QUEUE_ORDER, tracks
from stemline.ledger.track import ROWS_A_MOVE, is_away
from stemline.ledger.transition import TrackTransition, move_tracks
from stemline.records import BAD_ENDS, Code, Recipe, State

MAY_BE_CHARGED = (Code.SUBMIT_UNANSWERED, Code.JOB_LOST)
"""Failed, and nobody can tell any more whether it was charged: it is tried again only by its name."""


@dataclass(frozen=True, slots=True)
class RedriveGroup:
    """Tracks of one state and code that a redrive would plan again."""

    state: State
    code: Code
    tracks: int
    credits: int
    """What those of known length would cost."""
    unmeasured: int
    """How many have no known length."""
    is_free: bool = False
    """Whether they are paid and the provider still has their outputs: they are collected again for nothing."""

    @property
    def is_paid_again(self) -> bool:
        """Whether they were, or may have been, charged before."""
        return not self.is_free and may_be_charged(self.state, self.code)


def may_be_charged(state: State, code: Code) -> bool:
    """Tell whether a track that came to a bad end, or is published, was paid for, or may have been."""
    return state is not State.FAILED or code in MAY_BE_CHARGED


@repeating_verbs
class RedriveQueue:
    """The tracks that failed, are quarantined or have expired."""

    def __init__(self, database: LedgerDatabase) -> None:
        self._database = database

    @once
    def redrive(
        self,
        run_id: str,
        codes: Collection[Code] | None = None,
        *,
        limit: int | None = None,
        kept_since: datetime | None = None,
    ) -> int:
        """Select the next of what failed, of this recipe and provider, for this run and plan it again; give how many.

        These are so many as one transaction takes: there may be more until it gives none.
        A person asked for it, so attempts left do not matter. `codes` narrows it down, `limit` to the first in
        the order of the queue. A track that is quarantined, expired, or given up without knowing whether it was
        charged will be paid for again: it only goes when its code is named, and not as long as it can be collected
        again for nothing: what was sent after `kept_since`.
        """
        transition = TrackTransition("redrive", State.PLANNED, run_id=run_id)
        with self._database.write() as connection:
            ours = _without_collectable(of_provider(find_run(connection, run_id)), kept_since)
            chosen = _redriven(ours, codes, ROWS_A_MOVE if limit is None else min(ROWS_A_MOVE, limit))
            add_members(connection, run_id, chosen)
            return move_tracks(connection, self._database.clock(), chosen, transition)

    def redrivable(
        self,
        provider: str,
        recipe: Recipe,
        codes: Collection[Code] | None = None,
        *,
        limit: int | None = None,
        kept_since: datetime | None = None,
    ) -> list[RedriveGroup]:
        """Give what `redrive` would plan again, by state and code.

        With `kept_since`, what is quarantined and was sent since then is not among it: it is collected again instead.
        """
        ours = _without_collectable(of_provider({"recipe": recipe.name, "provider": provider}), kept_since)
        return self._groups(_redriven(ours, codes, limit), is_free=False)

    def collectable(
        self,
        provider: str,
        recipe: Recipe,
        kept_since: datetime,
        codes: Collection[Code] | None = None,
        *,
        limit: int | None = None,
    ) -> list[RedriveGroup]:
        """Give what a redrive would collect again for nothing, by code."""
        ours = of_provider({"recipe": recipe.name, "provider": provider})
        named = [] if codes is None else [tracks.c.code.in_(list(codes))]
        chosen = and_(ours, is_collectable(kept_since), *named)
        return self._groups(_first_of(chosen, limit), is_free=True)

    def _groups(self, chosen: ColumnElement[bool], *, is_free: bool) -> list[RedriveGroup]:
        credits_known = func.coalesce(func.sum(tracks.c.credits), 0)
        query = (
            select(tracks.c.state, tracks.c.code, func.count(), credits_known, func.count(tracks.c.credits))
            .where(chosen)
            .group_by(tracks.c.state, tracks.c.code)
            .order_by(tracks.c.state, tracks.c.code)
        )
        with self._database.read() as connection:
            return [
                RedriveGroup(State(state), Code(code), count, int(cost), count - measured, is_free)
                for state, code, count, cost, measured in connection.execute(query)
            ]


def _without_collectable(ours: ColumnElement[bool], kept_since: datetime | None) -> ColumnElement[bool]:
    return ours if kept_since is None else and_(ours, not_(is_collectable(kept_since)))


def _redriven(
    ours: ColumnElement[bool], codes: Collection[Code] | None, limit: int | None
) -> ColumnElement[bool]:
    if codes is None:
        chosen = and_(ours, tracks.c.state == State.FAILED, tracks.c.code.not_in(MAY_BE_CHARGED))
    else:
        chosen = and_(ours, tracks.c.state.in_(BAD_ENDS), tracks.c.code.in_(list(codes)))
    return _first_of(and_(chosen, not_(is_away())), limit)


def _first_of(chosen: ColumnElement[bool], limit: int | None) -> ColumnElement[bool]:
    """Give the clause for the first of the chosen tracks in the order of the queue."""
    if limit is None:
        return chosen
    first = select(tracks.c.track_id).where(chosen).order_by(*QUEUE_ORDER).limit(limit).correlate(None)
    return and_(chosen, tracks.c.track_id.in_(first))
