"""Batches: collected tracks that are published together, seen whole or not at all."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence

from sqlalchemy import ColumnElement, Connection, not_, or_, select

from stemline.errors import LedgerConflict
from stemline.ledger.database import LedgerDatabase
from stemline.ledger.dataset_registry import count_batch, discount_track, lies_in
from stemline.ledger.part import note_parts
from stemline.ledger.remake import IS_REMADE, supersede
from stemline.ledger.repetition import repeating_verbs
from stemline.ledger.row_mapping import BatchRow, attempts_with_tracks, batch_row_from_row, without_activity
from stemline.ledger.run import find_run
from stemline.ledger.tables import SAME_TRACK, attempts, batches, tracks
from stemline.ledger.transition import (
    AttemptTransition,
    LedgerEvent,
    find_attempt,
    move_attempt,
    move_attempts,
    require_state,
    write_event,
)
from stemline.records import Code, PartFile, Recipe, State


@repeating_verbs
class Batches:
    """The batches: opened before their files are written, published after."""

    def __init__(self, database: LedgerDatabase) -> None:
        self._database = database

    def open(self, run_id: str, batch_id: str, tokens: Sequence[str]) -> None:
        """Fix which collected attempts a batch holds, before its files are written.

        Opening the same batch again with the same members changes nothing. Raises LedgerConflict when a
        member is not collected or is in another batch.
        """
        wanted = set(tokens)
        now = self._database.clock()
        with self._database.write() as connection:
            find_run(connection, run_id)
            if wanted and _members(connection, batch_id) == wanted:
                return
            batch = {"batch_id": batch_id, "run_id": run_id, "members": len(wanted), "opened_at": now}
            connection.execute(batches.insert(), [batch])
            free = (
                attempts.c.token.in_(wanted),
                attempts.c.state == State.COLLECTED,
                attempts.c.batch_id.is_(None),
            )
            taken = connection.execute(attempts.update().where(*free).values(batch_id=batch_id)).rowcount
            if taken != len(wanted) or not wanted:
                message = f"Batch {batch_id} cannot hold these attempts: {taken} of {len(wanted)} are free."
                raise LedgerConflict(message)
            count_batch(connection, self._database.destination, batch_id, wanted)
            write_event(connection, now, batch, LedgerEvent("open_batch", detail={"batch_id": batch_id}))

    def publish(self, batch_id: str, written: Sequence[PartFile] = ()) -> int:
        """Mark a batch and every track in it as published, in these parts; give how many (0: it already was).

        What replaces older stems supersedes the attempt that they are of. What each second of its stems holds is in the
        tables by now, and forgotten here.
        """
        now = self._database.clock()
        members = select(attempts).where(attempts.c.batch_id == batch_id, attempts.c.state == State.COLLECTED)
        with self._database.read() as connection:  # no writer waits for what this computes
            lasting = _lasting_results(connection.scalars(members.with_only_columns(attempts.c.result)))
        with self._database.write() as connection:
            batch = (
                connection.execute(select(batches).where(batches.c.batch_id == batch_id)).mappings().first()
            )
            if batch is None:
                message = f"The ledger knows no batch {batch_id}."
                raise LedgerConflict(message)
            if batch["published_at"] is not None:
                return 0
            supersede(connection, now, self._database, batch_id)
            rows = connection.execute(members).mappings().all()
            lasting |= _lasting_results(row["result"] for row in rows if row["result"] not in lasting)
            move_attempts(connection, now, [(row, _published(lasting[row["result"]])) for row in rows])
            connection.execute(
                batches.update().where(batches.c.batch_id == batch_id).values(published_at=now)
            )
            note_parts(connection, self._database.destination, written)
            write_event(connection, now, batch, LedgerEvent("publish_batch", detail={"batch_id": batch_id}))
            return int(batch["members"])

    def unpublished(self, provider: str, recipe: Recipe, *, spared: Collection[str] = ()) -> list[str]:
        """Give the batches that were opened and not published, oldest first; none of a `spared` API key's.

        Those that replace older stems are not among them: `remakes.waiting` gives them.
        """
        theirs = select(attempts.c.token).where(
            attempts.c.batch_id == batches.c.batch_id, attempts.c.key_id.in_(list(spared))
        )
        query = (
            select(batches.c.batch_id)
            .where(batches.c.published_at.is_(None), not_(theirs.exists()))
            .where(
                select(attempts.c.token)
                .where(
                    attempts.c.batch_id == batches.c.batch_id,
                    attempts.c.provider == provider,
                    attempts.c.recipe == recipe.name,
                    lies_in(self._database.destination),
                    not_(_is_remake()),
                )
                .exists()
            )
            .order_by(batches.c.opened_at, batches.c.batch_id)
        )
        with self._database.read() as connection:
            return list(connection.scalars(query))

    def run_of(self, batch_id: str) -> str:
        """Name the run that opened a batch; raises LedgerConflict for an unknown one."""
        query = select(batches.c.run_id).where(batches.c.batch_id == batch_id)
        with self._database.read() as connection:
            run_id = connection.scalar(query)
        if run_id is None:
            message = f"The ledger knows no batch {batch_id}."
            raise LedgerConflict(message)
        return str(run_id)

    def rows(self, batch_id: str) -> list[BatchRow]:
        """Give a batch's members by track id: the same rows in the same order, however often it is asked."""
        query = attempts_with_tracks().where(attempts.c.batch_id == batch_id).order_by(attempts.c.track_id)
        with self._database.read() as connection:
            return [batch_row_from_row(row) for row in connection.execute(query).mappings()]

    def collected(self, tokens: Collection[str]) -> list[BatchRow]:
        """Give what a batch of these collected attempts would hold, by track id."""
        query = (
            attempts_with_tracks()
            .where(attempts.c.token.in_(list(tokens)), attempts.c.state == State.COLLECTED)
            .order_by(attempts.c.track_id)
        )
        with self._database.read() as connection:
            return [batch_row_from_row(row) for row in connection.execute(query).mappings()]

    def set_aside(self, reasons: Mapping[str, str]) -> None:
        """Take attempts that cannot be published out of their batches; each gets a sentence that says why.

        They stay collected, and `set_aside_before` gives them to later runs.
        """
        now = self._database.clock()
        with self._database.write() as connection:
            for token, sentence in reasons.items():
                row = find_attempt(connection, token)
                require_state(row, "set_aside", {State.COLLECTED})
                if row["batch_id"] is not None:
                    discount_track(connection, self._database.destination, row)
                transition = AttemptTransition(
                    "set_aside",
                    State.COLLECTED,
                    State.COLLECTED,
                    Code.UNPUBLISHABLE,
                    sentence,
                    values={"batch_id": None},
                )
                move_attempt(connection, now, row, transition)

    def set_aside_before(self, provider: str, recipe: Recipe) -> list[str]:
        """Give the tokens of collected attempts that an earlier run could not publish."""
        query = select(attempts.c.token).where(
            attempts.c.provider == provider,
            attempts.c.recipe == recipe.name,
            attempts.c.state == State.COLLECTED,
            attempts.c.code == Code.UNPUBLISHABLE,
            attempts.c.batch_id.is_(None),
            lies_in(self._database.destination),
        )
        with self._database.read() as connection:
            return list(connection.scalars(query.order_by(attempts.c.reserved_at, attempts.c.token)))

    def collected_unbatched(
        self, provider: str, recipe: Recipe, *, limit: int | None = None, spared: Collection[str] = ()
    ) -> list[str]:
        """Give the tokens of collected attempts in no batch yet, oldest first; none of a `spared` API key's.

        Those that replace older stems are not among them: `remakes.waiting` gives them.
        """
        query = (
            select(attempts.c.token)
            .where(
                attempts.c.provider == provider,
                attempts.c.recipe == recipe.name,
                attempts.c.state == State.COLLECTED,
                attempts.c.batch_id.is_(None),
                attempts.c.code.is_distinct_from(Code.UNPUBLISHABLE),
                or_(attempts.c.key_id.is_(None), attempts.c.key_id.not_in(list(spared))),
                lies_in(self._database.destination),
                not_(_is_remake()),
            )
            .order_by(attempts.c.reserved_at, attempts.c.token)
            .limit(limit)
        )
        with self._database.read() as connection:
            return list(connection.scalars(query))


def _published(result: str) -> AttemptTransition:
    return AttemptTransition("publish", State.PUBLISHED, State.PUBLISHED, values={"result": result})


def _lasting_results(results: Iterable[str]) -> dict[str, str]:
    """Give each result as it is kept once it is published."""
    return {result: without_activity(result) for result in results}


def _members(connection: Connection, batch_id: str) -> set[str]:
    return set(connection.scalars(select(attempts.c.token).where(attempts.c.batch_id == batch_id)))


def _is_remake() -> ColumnElement[bool]:
    """Give the clause for attempts that make a track again."""
    return select(tracks.c.track_id).where(SAME_TRACK, IS_REMADE).correlate(attempts).exists()
