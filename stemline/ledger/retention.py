"""What the ledger forgets, a slice at a time: old events, and which rows earlier runs left as these stood.

What was paid, and each attempt, is kept for ever. Every slice is a transaction of its own: one that is cut off is taken
up by the next run, and nobody waits long for the ledger.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import timedelta

from sqlalchemy import ColumnElement, Connection, RowMapping, and_, bindparam, delete, func, not_, or_, select

from stemline.ledger.database import LedgerDatabase
from stemline.ledger.lookup import one_of, these_tracks
from stemline.ledger.membership import next_members
from stemline.ledger.repetition import repeating_verbs
from stemline.ledger.row_mapping import dump_lasting, load_collected
from stemline.ledger.run import did_nothing, find_run
from stemline.ledger.tables import attempts, events, rejects, run_tracks, runs, tracks
from stemline.records import State

ROWS_A_SLICE = 5_000
_IS_PARTIAL = '%"through": "%'


@dataclass
class RowsLeft:
    """How many rows of its manifest a run left as they stood, by state and code, and how far they are counted."""

    counts: Counter[str] = field(default_factory=Counter)
    through: str | None = ""
    """The last track id that was looked at; None: all were."""

    @classmethod
    def of_run(cls, run: RowMapping) -> RowsLeft:
        """Give what is kept of a run; of one whose rows are all there still, nothing is counted."""
        text = run["left_as_they_stood"]
        if not text:
            return cls()
        kept = json.loads(text)
        return cls(Counter(kept["counts"]), kept["through"])

    def add(self, found: Iterable[tuple[str, str, int]]) -> None:
        """Count rows by state and code."""
        for state, code, count in found:
            self.counts[f"{state} {code}"] += int(count)

    def by_state(self) -> Counter[State]:
        """Give the counts by state."""
        return Counter({state: self._sum(0, state) for state in State})

    def by_code(self) -> Counter[str]:
        """Give the counts by code."""
        return Counter({code: self._sum(1, code) for code in {name.split(" ")[1] for name in self.counts}})

    def _sum(self, place: int, word: str) -> int:
        return sum(count for name, count in self.counts.items() if name.split(" ")[place] == word)

    def write(self, connection: Connection, run_id: str) -> None:
        """Keep it."""
        text = json.dumps({"counts": self.counts, "through": self.through})
        connection.execute(runs.update().where(runs.c.run_id == run_id).values(left_as_they_stood=text))


@repeating_verbs
class Retention:
    """What is forgotten at the end of a run."""

    def __init__(self, database: LedgerDatabase) -> None:
        self._database = database

    def forget(self, run_id: str, keep_days: int) -> None:
        """Forget what is old when a run has ended: the ledger does not grow with every night."""
        self.forget_events(keep_days)
        self.forget_rows_left(run_id)

    def forget_events(self, keep_days: int) -> int:
        """Delete the events that are older than so many days, oldest first; give how many.

        Of what was published so long ago the stems' facts go as well: the tables hold them.
        """
        before, forgotten = self._database.clock() - timedelta(days=keep_days), 0
        oldest = select(events.c.event_id).order_by(events.c.event_id).limit(ROWS_A_SLICE).subquery()
        while True:
            with self._database.write() as connection:
                last = connection.execute(select(func.max(oldest.c.event_id))).scalar_one()
                old = and_(events.c.event_id <= last, events.c.at < before)
                _forget_stems(connection, old)
                count = connection.execute(delete(events).where(old)).rowcount if last is not None else 0
            forgotten += count
            if count < ROWS_A_SLICE:
                return forgotten

    def forget_rows_left(self, run_id: str) -> int:
        """Count the rows of its manifest that each earlier run of a name left, instead of keeping them; give how many.

        What a run had an attempt at stays its own, and so does every row of this run, and of any that may be going on.
        A run that found nothing to do hides no other, so there is nothing to forget after it.
        """
        forgotten = 0
        for earlier in self._earlier(run_id):
            while (count := self._forget_slice(earlier)) is not None:
                forgotten += count
        return forgotten

    def _earlier(self, run_id: str) -> list[str]:
        with self._database.read() as connection:
            is_about_something = select(runs.c.run_id).where(runs.c.run_id == run_id, not_(did_nothing()))
            if connection.execute(is_about_something).first() is None:
                return []
            return [run["run_id"] for run in earlier_runs(connection, find_run(connection, run_id))]

    def _forget_slice(self, run_id: str) -> int | None:
        """Take up where the last slice ended; give how many rows were forgotten, or None when all were looked at."""
        with self._database.write() as connection:
            run = find_run(connection, run_id)
            left = RowsLeft.of_run(run)
            if left.through is None:
                return None
            some = next_members(connection, run_id, left.through, ROWS_A_SLICE)
            count = _forget_tracks(connection, run, left, some) + _forget_rejects(connection, run_id, left)
            left.through = some[-1] if some else None if not count else left.through
            left.write(connection, run_id)
            return count


def _forget_stems(connection: Connection, old: ColumnElement[bool]) -> None:
    tokens = list(connection.scalars(select(events.c.token).where(old, events.c.verb == "publish")))
    stored = select(attempts.c.token, attempts.c.result).where(
        one_of(attempts.c.token, tokens), attempts.c.state == State.PUBLISHED
    )
    slim = [
        {"the_token": token, "lasting": lasting}
        for token, result in connection.execute(stored).all()
        if (lasting := dump_lasting(load_collected(result))) != result
    ]
    if slim:
        one = attempts.update().where(attempts.c.token == bindparam("the_token"))
        connection.execute(one.values(result=bindparam("lasting")), slim)


def earlier_runs(connection: Connection, run: RowMapping) -> Sequence[RowMapping]:
    """Give the runs of a run's name whose rows are there still, oldest first: none that may be going on."""
    left = runs.c.left_as_they_stood
    query = select(runs).where(
        *(runs.c[name] == run[name] for name in ("name", "provider", "recipe")),
        runs.c.run_id != run["run_id"],
        runs.c.started_at < run["started_at"],
        # One that was killed never ended; its key is this run's now, so it is not going on.
        or_(runs.c.finished_at.is_not(None), runs.c.key_id == run["key_id"]),
        or_(left.is_(None), left.like(_IS_PARTIAL)),
    )
    return connection.execute(query.order_by(runs.c.started_at)).mappings().all()


def hand_over(connection: Connection, run: RowMapping, members: list[str]) -> None:
    """Count and delete what earlier runs left of these tracks, whose place those of a run are about to take.

    So a row that waits from night to night is there once, and the ledger does not grow by it.
    """
    for earlier in earlier_runs(connection, run) if members else ():
        mine = and_(run_tracks.c.run_id == earlier["run_id"], one_of(run_tracks.c.track_id, members))
        some = list(connection.scalars(select(run_tracks.c.track_id).where(mine)))
        if some:
            left = RowsLeft.of_run(earlier)
            _forget_tracks(connection, earlier, left, some)
            left.write(connection, earlier["run_id"])


def _forget_tracks(connection: Connection, run: RowMapping, left: RowsLeft, some: list[str]) -> int:
    """Count and delete those of some members that the run had no attempt at."""
    tried = select(attempts.c.track_id).where(
        one_of(attempts.c.track_id, some),
        attempts.c.provider == run["provider"],
        attempts.c.recipe == run["recipe"],
        attempts.c.run_id == run["run_id"],
    )
    untried = sorted(set(some) - set(connection.scalars(tried)))
    if not untried:
        return 0
    standing = select(tracks.c.state, tracks.c.code, func.count()).where(these_tracks(run, untried))
    found = connection.execute(standing.group_by(tracks.c.state, tracks.c.code))
    left.add((state, code, count) for state, code, count in found)
    mine: ColumnElement[bool] = and_(
        run_tracks.c.run_id == run["run_id"], one_of(run_tracks.c.track_id, untried)
    )
    connection.execute(delete(run_tracks).where(mine))
    return len(untried)


def _forget_rejects(connection: Connection, run_id: str, left: RowsLeft) -> int:
    """Count and delete some of the rows that a run could not use."""
    mine = rejects.c.run_id == run_id
    first = select(rejects.c.row_number).where(mine).order_by(rejects.c.row_number).limit(ROWS_A_SLICE)
    last = connection.execute(select(func.max(first.subquery().c.row_number))).scalar_one()
    if last is None:
        return 0
    some = and_(mine, rejects.c.row_number <= last)
    found = connection.execute(select(rejects.c.code, func.count()).where(some).group_by(rejects.c.code))
    left.add((State.REJECTED.value, code, count) for code, count in found)
    return connection.execute(delete(rejects).where(some)).rowcount
