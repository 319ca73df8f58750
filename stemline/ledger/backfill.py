"""Backfills: the rows each froze when it began, what a person has said about it since, and how far it is."""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable, Iterator
from dataclasses import replace
from itertools import islice
from typing import Any

from sqlalchemy import (
    ColumnElement,
    Connection,
    Row,
    RowMapping,
    ScalarSelect,
    Select,
    and_,
    case,
    func,
    or_,
    select,
)

from stemline.errors import LedgerConflict
from stemline.ledger.backfill_order import put_in_order
from stemline.ledger.backfill_record import (
    WAITING,
    Backfill,
    BackfillOrder,
    BackfillState,
    FrozenRow,
    SliceProgress,
    Standing,
    backfill_cells,
    backfill_from_row,
    frozen_cells,
    frozen_from_row,
)
from stemline.ledger.database import LedgerDatabase
from stemline.ledger.failure import is_for_good
from stemline.ledger.lookup import one_of
from stemline.ledger.redrive import may_be_charged
from stemline.ledger.remake import IDLE
from stemline.ledger.repetition import once, repeating_verbs
from stemline.ledger.run import ROWS_A_STATEMENT
from stemline.ledger.tables import (
    TRACK_KEY,
    attempts,
    backfill_tracks,
    backfills,
    runs,
    totals,
    tracks,
)
from stemline.ledger.transition import RELEASED, LedgerEvent, write_event
from stemline.records import BAD_ENDS, Code, Recipe, State

SAME_TRACK = and_(
    tracks.c.track_id == backfill_tracks.c.track_id,
    tracks.c.recipe == backfills.c.recipe,
    tracks.c.provider == backfills.c.provider,
)


@repeating_verbs
class Backfills:
    """The backfills of a ledger."""

    def __init__(self, database: LedgerDatabase) -> None:
        self._database = database

    @once
    def freeze(self, backfill: Backfill, rows: Iterable[FrozenRow]) -> None:
        """Keep a new backfill with its rows, whole or not at all; raises LedgerConflict for a name that is taken."""
        cells = (frozen_cells(backfill.name, place, row) for place, row in enumerate(rows))
        with self._database.write() as connection:
            if _find(connection, backfill.name) is not None:
                raise LedgerConflict(f"There is a backfill {backfill.name} already.")
            connection.execute(backfills.insert(), [backfill_cells(backfill)])
            while chunk := list(islice(cells, ROWS_A_STATEMENT)):
                connection.execute(backfill_tracks.insert(), chunk)
            put_in_order(connection, backfill.name, backfill.order)
            event = LedgerEvent("freeze_backfill", detail={"backfill": backfill.name})
            write_event(connection, backfill.made_at, {}, event)

    def get(self, name: str) -> Backfill | None:
        """Give the backfill of that name; None when there is none."""
        with self._database.read() as connection:
            row = _find(connection, name)
        return None if row is None else backfill_from_row(row)

    def of_run(self, run_id: str) -> Backfill | None:
        """Give the backfill that a run is part of; None for a run of its own."""
        query = select(backfills).join(runs, runs.c.backfill == backfills.c.name)
        with self._database.read() as connection:
            row = connection.execute(query.where(runs.c.run_id == run_id)).mappings().one_or_none()
        return None if row is None else backfill_from_row(row)

    def every(self) -> list[Backfill]:
        """Give all of them, newest first."""
        query = select(backfills).order_by(backfills.c.made_at.desc(), backfills.c.name)
        with self._database.read() as connection:
            return [backfill_from_row(row) for row in connection.execute(query).mappings()]

    def move(self, name: str, state: BackfillState) -> Backfill:
        """Pause, resume, cancel or finish a backfill; what it is already changes nothing.

        Raises LedgerConflict for a state it cannot come to from where it is.
        """
        now = self._database.clock()
        with self._database.write() as connection:
            backfill = _require(connection, name)
            if backfill.state is state:
                return backfill
            is_over = state in (BackfillState.CANCELLED, BackfillState.FINISHED)
            moved = replace(backfill.moved(state), finished_at=now if is_over else None)
            self._save(connection, backfill, moved)
            return moved

    def change(
        self,
        name: str,
        *,
        ceiling: int | None = None,
        share: float | None = None,
        order: BackfillOrder | None = None,
    ) -> Backfill:
        """Change what a backfill may spend, its share, or who goes first.

        Raises LedgerConflict for one that is cancelled.
        """
        with self._database.write() as connection:
            backfill = _require(connection, name).require_changeable()
            changed = replace(
                backfill,
                ceiling=backfill.ceiling if ceiling is None else ceiling,
                share=backfill.share if share is None else share,
                request={**backfill.request, "order": str(order or backfill.order)},
            )
            self._save(connection, backfill, changed)
            if changed.order is not backfill.order:
                put_in_order(connection, name, changed.order)
            return changed

    def standings(
        self, provider: str, recipe: Recipe, track_ids: Collection[str], max_attempts: int
    ) -> dict[str, Standing]:
        """Give where each of these tracks (at most 10,000) stands; those that no run has planned are not there.

        What another one is to make again, and has sent nowhere yet, is published: as it is, until that has new stems.
        """
        names = ("track_id", "recipe", "provider", "state", "code", "location", "is_retryable", "failures")
        query = select(
            *(tracks.c[name] for name in (*names, "published_as")),
            _latest_attempt().label("last_attempt"),
            _latest_attempt(is_accepted=True).label("last_accepted"),
        ).where(one_of(tracks.c.track_id, track_ids))
        found: dict[str, Standing] = {}
        otherwise: set[str] = set()
        with self._database.read() as connection:
            for row in connection.execute(query):
                if (row.provider, row.recipe) == (provider, recipe.name):
                    if row.published_as is not None and row.state in IDLE:
                        found[row.track_id] = _as_published(row)
                        continue
                    state = State(row.state)
                    is_over = is_for_good(
                        row.code,
                        is_retryable=row.is_retryable,
                        failures=row.failures,
                        max_attempts=max_attempts,
                    )
                    found[row.track_id] = Standing(
                        state,
                        row.location,
                        row.last_accepted if state is State.PUBLISHED else row.last_attempt,
                        is_failed_for_good=state is State.FAILED and is_over,
                        may_be_charged=may_be_charged(state, Code(row.code)),
                    )
                elif row.state == State.PUBLISHED:
                    otherwise.add(row.track_id)
        nowhere = Standing(State.PLANNED, "", 0)
        return found | {
            track_id: replace(found.get(track_id, nowhere), is_published_otherwise=True)
            for track_id in otherwise
        }

    def to_do(self, name: str, after: int, limit: int) -> list[tuple[int, FrozenRow]]:
        """Give the next rows that are not published as asked for, behind a place in the order, each with its own."""
        query = (
            _with_tracks(backfill_tracks, tracks.c.state)
            .where(backfill_tracks.c.backfill == name, backfill_tracks.c.position > after, not_done())
            .order_by(backfill_tracks.c.position)
            .limit(limit)
        )
        with self._database.read() as connection:
            return [(row["position"], frozen_from_row(row)) for row in connection.execute(query).mappings()]

    def rows_of(self, name: str, after: str, limit: int) -> list[FrozenRow]:
        """Give frozen rows by track id, behind one."""
        query = (
            select(backfill_tracks)
            .where(backfill_tracks.c.backfill == name, backfill_tracks.c.track_id > after)
            .order_by(backfill_tracks.c.track_id)
            .limit(limit)
        )
        with self._database.read() as connection:
            return [frozen_from_row(row) for row in connection.execute(query).mappings()]

    def pages(self, name: str) -> Iterator[list[FrozenRow]]:
        """Give all frozen rows by track id, some thousands at a time."""
        after = ""
        while rows := self.rows_of(name, after, ROWS_A_STATEMENT):
            after = rows[-1].track.track_id
            yield rows

    def progress(self, name: str) -> list[SliceProgress]:
        """Give how far each slice is, in the order in which their first tracks go."""
        state = case((not_begun(), WAITING), else_=tracks.c.state)
        first = func.min(backfill_tracks.c.position)
        query = (
            _with_tracks(
                backfill_tracks.c.slice,
                state.label("state"),
                func.count().label("tracks"),
                func.sum(backfill_tracks.c.credits).label("credits"),
                first.label("first"),
            )
            .where(backfill_tracks.c.backfill == name)
            .group_by(backfill_tracks.c.slice, state)
            .order_by(first)
        )
        found: dict[str, SliceProgress] = {}
        with self._database.read() as connection:
            for row in connection.execute(query):
                before = found.get(row.slice, SliceProgress(row.slice))
                found[row.slice] = SliceProgress(
                    row.slice,
                    before.tracks + row.tracks,
                    before.credits + int(row.credits),
                    {**before.states, row.state: row.tracks},
                )
        return list(found.values())

    def spent(self, name: str) -> dict[str, int]:
        """Give the credits `reserved` and `charged` of all its runs."""
        query = select(totals.c.reserved, totals.c.charged).where(totals.c.period == f"backfill:{name}")
        with self._database.read() as connection:
            row = connection.execute(query).one_or_none()
        return {"reserved": row.reserved if row else 0, "charged": row.charged if row else 0}

    def runs_of(self, name: str) -> list[str]:
        """Give the ids of its runs, first to last."""
        query = select(runs.c.run_id).where(runs.c.backfill == name).order_by(runs.c.started_at)
        with self._database.read() as connection:
            return list(connection.scalars(query))

    def _save(self, connection: Connection, before: Backfill, after: Backfill) -> None:
        cells = backfill_cells(after)
        connection.execute(backfills.update().where(backfills.c.name == before.name).values(**cells))
        detail = {
            "backfill": after.name,
            "state": after.state,
            "ceiling": after.ceiling,
            "share": after.share,
        }
        event = LedgerEvent("change_backfill", before.state, after.state, detail)
        write_event(connection, self._database.clock(), {}, event)


def _as_published(row: Row[*tuple[Any, ...]]) -> Standing:
    """Give where a track stands that is to be made again and is not under way: as the tables have it."""
    location = str(json.loads(row.published_as)["location"])
    return Standing(
        State.PUBLISHED, location, row.last_accepted, may_be_charged=may_be_charged(State.PUBLISHED, Code.OK)
    )


def not_begun() -> ColumnElement[bool]:
    """Give the clause for rows that no run has planned, or that are to be made again and were not yet."""
    state, asked = tracks.c.state, backfill_tracks.c.last_attempt
    is_as_before = or_(
        and_(state == State.PUBLISHED, _latest_attempt(is_accepted=True) <= asked),
        and_(state.in_(BAD_ENDS), _latest_attempt() <= asked),
    )
    is_again = and_(asked.is_not(None), is_as_before)
    return or_(tracks.c.state.is_(None), is_again)


def _latest_attempt(*, is_accepted: bool = False) -> ScalarSelect[int]:
    """Give the number of a track's last attempt, 0 where there was none; with `is_accepted`, of those not released."""
    numbers = select(func.coalesce(func.max(attempts.c.number), 0)).where(
        *(attempts.c[name] == tracks.c[name] for name in TRACK_KEY)
    )
    if is_accepted:
        numbers = numbers.where(attempts.c.state != RELEASED)
    return numbers.correlate(tracks).scalar_subquery()


def not_done() -> ColumnElement[bool]:
    """Give the clause for rows that are not published as asked for."""
    return or_(not_begun(), tracks.c.state != State.PUBLISHED)


def _with_tracks(*columns: Any) -> Select[Any]:  # noqa: ANN401 - tables and columns alike
    frozen = backfill_tracks.join(backfills, backfills.c.name == backfill_tracks.c.backfill)
    return select(*columns).select_from(frozen.outerjoin(tracks, SAME_TRACK))


def _find(connection: Connection, name: str) -> RowMapping | None:
    return connection.execute(select(backfills).where(backfills.c.name == name)).mappings().one_or_none()


def _require(connection: Connection, name: str) -> Backfill:
    row = _find(connection, name)
    if row is None:
        raise LedgerConflict(f"The ledger knows no backfill {name}.")
    return backfill_from_row(row)
