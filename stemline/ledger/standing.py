"""How the rows of a run's manifest stand: by state and by code, and what is still to be paid for them."""

from __future__ import annotations

from collections import Counter

from sqlalchemy import Connection, RowMapping, func, select

from stemline.ledger.membership import of_run
from stemline.ledger.retention import RowsLeft
from stemline.ledger.tables import rejects, tracks
from stemline.records import Code, State

TO_COME = (State.PLANNED, State.SUBMITTING, State.PROCESSING)
"""The states of tracks that the provider is not done with."""


class RunStanding:
    """A run's rows by state and code, counted once."""

    def __init__(self, connection: Connection, run: RowMapping) -> None:
        """Count them."""
        self._run, self._left = run, RowsLeft.of_run(run)
        columns = (tracks.c.state, tracks.c.code)
        query = select(*columns, func.count(), func.count(tracks.c.credits), func.sum(tracks.c.credits))
        self._tracks = connection.execute(query.where(of_run(run)).group_by(*columns)).all()
        outside = select(rejects.c.code, func.count()).where(rejects.c.run_id == run["run_id"])
        self._rejects = connection.execute(outside.group_by(rejects.c.code)).all()

    def counts(self) -> dict[State, int]:
        """Give how many rows of the manifest stand in each state; they sum to the manifest."""
        found = Counter[State]()
        for state, _, count, *_ in self._tracks:
            found[State(state)] += count
        found[State.REJECTED] += sum(count for _, count in self._rejects)
        found[State.PUBLISHED] += self._run["standing"]
        found += self._left.by_state()
        return {state: count for state, count in found.items() if count}

    def codes(self) -> dict[Code, int]:
        """Give how many rows of the manifest carry each code; they sum to the manifest."""
        found = Counter[Code]()
        for _, code, count, *_ in self._tracks:
            found[Code(code)] += count
        for code, count in self._rejects:
            found[Code(code)] += count
        found[Code.OK] += self._run["standing"]
        found.update({Code(code): count for code, count in self._left.by_code().items()})
        return {code: count for code, count in found.items() if count}

    def in_line(self) -> int:
        """Give how many tracks wait to be sent: while a run goes on, what was held before it began does so again."""
        return sum(int(row[2]) for row in self._tracks if row[0] in self._in_line)

    def credits_to_come(self) -> float:
        """Give what the rest costs; a track whose length is not known yet counts as the mean of the others."""
        known = sum(int(row[3]) for row in self._tracks)
        mean = sum(int(row[4] or 0) for row in self._tracks) / known if known else 0.0
        to_come = [row for row in self._tracks if row[0] in {*TO_COME, *self._in_line}]
        unknown = sum(int(row[2]) - int(row[3]) for row in to_come)
        return sum(int(row[4] or 0) for row in to_come) + unknown * mean

    @property
    def _in_line(self) -> tuple[State, ...]:
        """The states of tracks that wait to be sent. What a run holds back it holds as it ends."""
        return (State.PLANNED,) if self._run["finished_at"] else (State.PLANNED, State.HELD)
