"""Tracks with no attempt under way: handed out in order, held back, failed, rejected, put back in line."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

from sqlalchemy import ColumnElement, and_, func, or_, select

from stemline.errors import LedgerConflict
from stemline.ledger.plan import Plans, of_provider
from stemline.ledger.row import TrackStatus, status_from_row, track_from_row
from stemline.ledger.run import find_run
from stemline.ledger.schema import tracks
from stemline.ledger.transition import Move, move_tracks
from stemline.records import Code, Recipe, State, Track

REDRIVEN = (State.FAILED, State.QUARANTINED, State.EXPIRED)


@dataclass(frozen=True, slots=True)
class Redrivable:
    """Tracks of one state and code that could be put back in line."""

    state: State
    code: Code
    tracks: int
    credits: int
    """What those of known length would cost."""
    unmeasured: int
    """How many have no known length."""

    @property
    def is_paid_again(self) -> bool:
        """Whether they were, or may have been, charged before."""
        return self.state is not State.FAILED or self.code is Code.SUBMIT_UNANSWERED


class Tracks(Plans):
    """The verbs of a track that has no attempt under way."""

    def next_planned(self, run_id: str, limit: int, *, after: Track | None = None) -> list[Track]:
        """Give the run's next planned tracks, highest priority first, then in the manifest's order.

        `after` is the last track of the previous page; a track put back in line before it is found again by
        asking without.
        """
        query = (
            select(tracks)
            .where(tracks.c.run_id == run_id, tracks.c.state == State.PLANNED)
            .order_by(tracks.c.priority.desc(), tracks.c.position, tracks.c.track_id)
            .limit(limit)
        )
        if after is not None:
            query = query.where(_behind(after))
        with self.read() as connection:
            return [track_from_row(row) for row in connection.execute(query).mappings()]

    def reject_track(self, run_id: str, track_id: str, code: Code, sentence: str) -> None:
        """Take a planned track out of the run: its audio proved unusable before anything was paid."""
        self._move_planned(run_id, track_id, Move("reject_track", State.REJECTED, code, sentence))

    def fail_track(self, run_id: str, track_id: str, code: Code, sentence: str) -> None:
        """Fail a planned track, retryably, before any attempt: its source could not be reached."""
        move = Move("fail_track", State.FAILED, code, sentence, is_retryable=True)
        self._move_planned(run_id, track_id, move)

    def hold(self, run_id: str, code: Code, sentence: str) -> int:
        """Hold back every track of the run that is still planned, and give how many."""
        chosen = and_(tracks.c.run_id == run_id, tracks.c.state == State.PLANNED)
        return self._move(chosen, Move("hold", State.HELD, code, sentence))

    def unhold(self, run_id: str) -> int:
        """Put the run's held tracks back in line, and give how many."""
        chosen = and_(tracks.c.run_id == run_id, tracks.c.state == State.HELD)
        return self._move(chosen, Move("unhold", State.PLANNED))

    def retry_failed(self, run_id: str, *, max_attempts: int = 3) -> int:
        """Put the run's retryable failures back in line while they have attempts left, and give how many."""
        chosen = and_(
            tracks.c.run_id == run_id,
            tracks.c.state == State.FAILED,
            tracks.c.is_retryable,
            tracks.c.failures < max_attempts,
        )
        return self._move(chosen, Move("retry_failed", State.PLANNED))

    def redrive(self, run_id: str, codes: Collection[Code] | None = None, *, limit: int | None = None) -> int:
        """Select whatever failed, of this recipe and provider, for this run and put it back in line.

        A person asked for it, so attempts left do not matter. `codes` narrows it down, `limit` to the first in
        the order of the queue. A track that is quarantined, expired, or given up without knowing whether it was
        charged will be paid for again: it only goes when its code is named.
        """
        run = self.run(run_id)
        chosen = _redriven(run.provider, run.recipe, codes, limit)
        return self._move(chosen, Move("redrive", State.PLANNED, run_id=run_id))

    def redrivable(
        self,
        provider: str,
        recipe: Recipe,
        codes: Collection[Code] | None = None,
        *,
        limit: int | None = None,
    ) -> list[Redrivable]:
        """Give what `redrive` would put back in line, by state and code."""
        credits_known = func.coalesce(func.sum(tracks.c.credits), 0)
        query = (
            select(tracks.c.state, tracks.c.code, func.count(), credits_known, func.count(tracks.c.credits))
            .where(_redriven(provider, recipe, codes, limit))
            .group_by(tracks.c.state, tracks.c.code)
            .order_by(tracks.c.state, tracks.c.code)
        )
        with self.read() as connection:
            return [
                Redrivable(State(state), Code(code), count, int(cost), count - measured)
                for state, code, count, cost, measured in connection.execute(query)
            ]

    def track_status(self, run_id: str, track_ids: Collection[str]) -> dict[str, TrackStatus]:
        """Give the standing of each of these tracks (at most 10,000) that the ledger knows."""
        with self.read() as connection:
            run = find_run(connection, run_id)
            query = select(tracks).where(of_provider(run), tracks.c.track_id.in_(list(track_ids)))
            return {row["track_id"]: status_from_row(row) for row in connection.execute(query).mappings()}

    def _move(self, chosen: ColumnElement[bool], move: Move) -> int:
        with self.write() as connection:
            return move_tracks(connection, self.clock(), chosen, move)

    def _move_planned(self, run_id: str, track_id: str, move: Move) -> None:
        chosen = and_(
            tracks.c.run_id == run_id, tracks.c.track_id == track_id, tracks.c.state == State.PLANNED
        )
        if not self._move(chosen, move):
            message = f"Track {track_id} is not planned in run {run_id}: {move.verb} cannot follow."
            raise LedgerConflict(message)


def _redriven(
    provider: str, recipe: Recipe, codes: Collection[Code] | None, limit: int | None
) -> ColumnElement[bool]:
    chosen = of_provider({"recipe": recipe.name, "provider": provider})
    if codes is None:
        chosen = and_(chosen, tracks.c.state == State.FAILED, tracks.c.code != Code.SUBMIT_UNANSWERED)
    else:
        chosen = and_(chosen, tracks.c.state.in_(REDRIVEN), tracks.c.code.in_(list(codes)))
    if limit is None:
        return chosen
    first = (
        select(tracks.c.track_id)
        .where(chosen)
        .order_by(tracks.c.priority.desc(), tracks.c.position, tracks.c.track_id)
        .limit(limit)
        .correlate(None)
    )
    return and_(chosen, tracks.c.track_id.in_(first))


def _behind(after: Track) -> ColumnElement[bool]:
    same_priority = tracks.c.priority == after.priority
    return or_(
        tracks.c.priority < after.priority,
        and_(same_priority, tracks.c.position > after.position),
        and_(same_priority, tracks.c.position == after.position, tracks.c.track_id > after.track_id),
    )
