"""Counts, credits and lists that status and reports show."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from datetime import datetime

from sqlalchemy import func, select

from stemline.budget import Limits, Spending
from stemline.ledger import credit
from stemline.ledger.cell import load_cells
from stemline.ledger.recovery import Recovery
from stemline.ledger.row import TrackStatus, reject_from_row, status_from_row
from stemline.ledger.run import find_run
from stemline.ledger.schema import events, rejects, tracks
from stemline.records import Code, Recipe, Reject, State

ROWS_A_PAGE = 1_000
SETTLED = (State.PUBLISHED, State.PLANNED)


class Figures(Recovery):
    """The reads of reports. A run's rows are the tracks it selected plus the rows it rejected."""

    def counts(self, run_id: str) -> dict[State, int]:
        """Give how many of the run's manifest rows stand in each state; they sum to the manifest."""
        query = select(tracks.c.state, func.count()).where(tracks.c.run_id == run_id).group_by(tracks.c.state)
        outside = select(func.count()).select_from(rejects).where(rejects.c.run_id == run_id)
        with self.read() as connection:
            found = {State(state): int(count) for state, count in connection.execute(query)}
            rejected = connection.execute(outside).scalar_one()
        if rejected:
            found[State.REJECTED] = found.get(State.REJECTED, 0) + rejected
        return found

    def states_of(self, provider: str, recipe: Recipe, track_ids: Collection[str]) -> dict[str, State]:
        """Give where each of these tracks (at most 10,000) stands with a provider and recipe, if it is known."""
        query = select(tracks.c.track_id, tracks.c.state).where(
            tracks.c.provider == provider,
            tracks.c.recipe == recipe.name,
            tracks.c.track_id.in_(list(track_ids)),
        )
        with self.read() as connection:
            return {track_id: State(state) for track_id, state in connection.execute(query)}

    def codes(self, run_id: str) -> dict[Code, int]:
        """Give how many of the run's manifest rows carry each code; they sum to the manifest."""
        found: dict[Code, int] = {}
        with self.read() as connection:
            for table in (tracks, rejects):
                query = (
                    select(table.c.code, func.count()).where(table.c.run_id == run_id).group_by(table.c.code)
                )
                for code, count in connection.execute(query):
                    found[Code(code)] = found.get(Code(code), 0) + int(count)
        return found

    def credits(self, run_id: str, limits: Limits | None = None) -> Spending:
        """Give what is reserved and charged for the run, and for its provider's present day and month."""
        now: datetime = self.clock()
        with self.read() as connection:
            run = find_run(connection, run_id)
            return credit.read_spending(connection, run, now, limits or Limits())

    def track_list(self, run_id: str, *states: State) -> Iterator[TrackStatus]:
        """Stream the run's tracks in these states (none: every state that needs attention) by track id."""
        wanted = states or tuple(state for state in State if state not in SETTLED)
        query = (
            select(tracks)
            .where(tracks.c.run_id == run_id, tracks.c.state.in_(wanted))
            .order_by(tracks.c.track_id)
            .limit(ROWS_A_PAGE)
        )
        last = ""
        while True:
            with self.read() as connection:
                page = connection.execute(query.where(tracks.c.track_id > last)).mappings().all()
            yield from (status_from_row(row) for row in page)
            if len(page) < ROWS_A_PAGE:
                return
            last = page[-1]["track_id"]

    def failures(self, run_id: str) -> Iterator[TrackStatus]:
        """Stream the run's tracks that failed, are unknown, quarantined or expired."""
        return self.track_list(run_id, State.FAILED, State.UNKNOWN, State.QUARANTINED, State.EXPIRED)

    def rejected_rows(self, run_id: str) -> Iterator[Reject]:
        """Stream every manifest row the run could not use, whether or not it ever became a track."""
        row_number = rejects.c.row_number
        query = select(rejects).where(rejects.c.run_id == run_id).order_by(row_number).limit(ROWS_A_PAGE)
        last = -1
        while True:
            with self.read() as connection:
                page = connection.execute(query.where(row_number > last)).mappings().all()
            yield from (reject_from_row(row) for row in page)
            if len(page) < ROWS_A_PAGE:
                break
            last = page[-1]["row_number"]
        for status in self.track_list(run_id, State.REJECTED):
            yield Reject(status.position, status.track_id, status.location, status.code, status.sentence)

    def history(self, track_id: str) -> list[dict[str, object]]:
        """Give a track's events, oldest first: at, run_id, token, verb, from_state, to_state, detail."""
        query = select(events).where(events.c.track_id == track_id).order_by(events.c.event_id)
        with self.read() as connection:
            rows = connection.execute(query).mappings().all()
        return [{**row, "detail": load_cells(row["detail"] or "{}")} for row in rows]
