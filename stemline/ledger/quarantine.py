"""The quarantine: what is paid and does not verify, collected once more for nothing, or accepted as it is."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import ColumnElement, Connection, FromClause, RowMapping, Select, and_, not_, or_, select

from stemline.errors import LedgerConflict
from stemline.ledger.database import LedgerDatabase
from stemline.ledger.membership import add_members, of_provider, of_run
from stemline.ledger.remake import keep_standing, newest_numbers
from stemline.ledger.repetition import repeating_verbs
from stemline.ledger.row_mapping import dump_collected, job_from_row
from stemline.ledger.run import find_run
from stemline.ledger.tables import QUEUE_ORDER, SAME_TRACK, TRACK_KEY, attempts, leases, tracks
from stemline.ledger.transition import (
    AttemptTransition,
    find_attempt,
    move_attempt,
    require_state,
    same_track,
)
from stemline.records import Code, CollectedTrack, Job, Recipe, State

TRACKS_A_TRANSACTION = 200
OF_QUARANTINE = frozenset(
    {Code.MISSING_STEM, Code.TRUNCATED, Code.UNDECODABLE, Code.WRONG_DURATION, Code.ALL_SILENT}
)
"""Why a track is in quarantine."""


@dataclass(frozen=True, slots=True)
class CollectAgain:
    """Which quarantined tracks of a run are collected once more."""

    run_id: str
    kept_since: datetime
    """The provider still has the outputs of what was sent then or later."""
    key_ids: Collection[str]
    """The API keys of this run: what a key of another living run has made is left to that."""
    is_redrive: bool = False
    """Whether it is about all tracks of the run's recipe and provider: the run is about those found from now on."""
    codes: Collection[Code] | None = None
    limit: int | None = None


@repeating_verbs
class Quarantine:
    """The verbs that lead out of quarantine without paying again."""

    def __init__(self, database: LedgerDatabase) -> None:
        self._database = database

    def collect_again(self, wanted: CollectAgain) -> int:
        """Put quarantined attempts back to ready: they are paid, and their outputs are there; give how many."""
        moved = 0
        while wanted.limit is None or moved < wanted.limit:
            left = TRACKS_A_TRANSACTION if wanted.limit is None else wanted.limit - moved
            some = self._move_some(wanted, min(left, TRACKS_A_TRANSACTION))
            moved += some
            if not some:
                break
        return moved

    def accept(self, collected: CollectedTrack) -> bool:
        """Keep the stems of a quarantined attempt as they are: a person says so; give whether this was news.

        Raises LedgerConflict when the attempt, or its track, stands elsewhere by now.
        """
        with self._database.write() as connection:
            row = find_attempt(connection, collected.token)
            if row["state"] in {State.COLLECTED, State.PUBLISHED}:
                return False
            require_state(row, "accept", {State.QUARANTINED, State.EXPIRED})
            state = connection.execute(select(tracks.c.state).where(same_track(row))).scalar_one()
            if state == State.PUBLISHED and _was_to_replace(connection, row):
                keep_standing(connection, row)
            elif state != row["state"]:
                message = (
                    f"Track {row['track_id']} is {state} by now: its attempt {row['token']} is not accepted."
                )
                raise LedgerConflict(message)
            there = self._database.destination
            values = {
                "result": dump_collected(collected),
                "dataset_id": None if there is None else there.dataset_id,
            }
            accepted = AttemptTransition("accept", State.COLLECTED, State.COLLECTED, values=values)
            move_attempt(connection, self._database.clock(), row, accepted)
            return True

    def run_of(self, token: str) -> str:
        """Give the run that made an attempt."""
        with self._database.read() as connection:
            return str(find_attempt(connection, token)["run_id"])

    def job_of(self, token: str) -> Job:
        """Give what is known of an attempt's job, without links."""
        with self._database.read() as connection:
            return job_from_row(find_attempt(connection, token))

    def put_back(self, token: str, sentence: str) -> None:
        """Say that what is paid could not be asked for; what was in quarantine before goes back there."""
        with self._database.write() as connection:
            row = find_attempt(connection, token)
            if row["state"] != State.READY:
                return
            if row["code"] in OF_QUARANTINE:
                said = f"{row['sentence'].removesuffix(sentence).strip()} {sentence}"
                back = AttemptTransition(
                    "put_back", State.QUARANTINED, State.QUARANTINED, Code(row["code"]), said
                )
            else:
                back = AttemptTransition("put_back", State.READY, State.READY, Code.DOWNLOAD_FAILED, sentence)
            move_attempt(connection, self._database.clock(), row, back)

    def collectable(
        self, provider: str, recipe: Recipe, track_ids: Collection[str], kept_since: datetime
    ) -> set[str]:
        """Give those of these tracks (at most 10,000) that are quarantined and can be collected again."""
        ours = of_provider({"provider": provider, "recipe": recipe.name})
        query = select(tracks.c.track_id).where(
            ours, tracks.c.track_id.in_(list(track_ids)), is_collectable(kept_since)
        )
        with self._database.read() as connection:
            return set(connection.scalars(query))

    def _move_some(self, wanted: CollectAgain, limit: int) -> int:
        with self._database.write() as connection:
            now, run = self._database.clock(), find_run(connection, wanted.run_id)
            held = select(leases.c.key_id).where(leases.c.expires_at > self._database.shared_now(connection))
            query = (
                select(attempts)
                .select_from(attempts.join(tracks, SAME_TRACK))
                .where(*_chosen(wanted, run), *_newest(wanted, held))
                .order_by(*QUEUE_ORDER)
                .limit(limit)
            )
            rows = connection.execute(query).mappings().all()
            if wanted.is_redrive and rows:
                found = tracks.c.track_id.in_([row["track_id"] for row in rows])
                add_members(connection, wanted.run_id, and_(of_provider(run), found))
            for row in rows:
                move_attempt(connection, now, row, _again(row))
            return len(rows)


def _was_to_replace(connection: Connection, attempt: RowMapping) -> bool:
    """Tell whether a published track was to be made again by an attempt, and no later one was accepted."""
    newest = newest_numbers(connection, attempt, [attempt["track_id"]])
    is_superseded = attempt["code"] == Code.SUPERSEDED
    return not is_superseded and newest.get(attempt["track_id"]) == attempt["number"]


def is_collectable(kept_since: datetime) -> ColumnElement[bool]:
    """Give the clause for quarantined tracks whose outputs the provider still has."""
    there = select(attempts.c.token).where(
        SAME_TRACK, attempts.c.state == State.QUARANTINED, attempts.c.sent_at >= kept_since
    )
    return and_(tracks.c.state == State.QUARANTINED, there.correlate(tracks).exists())


def _again(row: RowMapping) -> AttemptTransition:
    """Give the way back to ready; what was wrong with it stays said until it is right."""
    return AttemptTransition("collect_again", State.READY, State.READY, Code(row["code"]), row["sentence"])


def _chosen(wanted: CollectAgain, run: RowMapping) -> list[ColumnElement[bool]]:
    """Give the clauses for the tracks that are wanted."""
    mine = of_provider(run) if wanted.is_redrive else of_run(run)
    named = [] if wanted.codes is None else [tracks.c.code.in_(list(wanted.codes))]
    return [mine, tracks.c.state == State.QUARANTINED, *named]


def _newest(wanted: CollectAgain, held: Select[tuple[str]]) -> list[ColumnElement[bool]]:
    """Give the clauses for the last attempt of a track that can be collected and that no other living run may be at."""

    def is_there(table: FromClause) -> list[ColumnElement[bool]]:
        key_id = table.c.key_id
        is_ours = or_(key_id.is_(None), key_id.in_(list(wanted.key_ids)), key_id.not_in(held))
        return [table.c.state == State.QUARANTINED, table.c.sent_at >= wanted.kept_since, is_ours]

    later = attempts.alias("later")
    of_same = [later.c[name] == attempts.c[name] for name in TRACK_KEY]
    newer = select(later.c.token).where(*of_same, later.c.number > attempts.c.number, *is_there(later))
    return [*is_there(attempts), not_(newer.correlate(attempts).exists())]
