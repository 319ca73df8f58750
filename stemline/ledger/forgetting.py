"""What the ledger forgets for good: all that tells who a track is. What was paid for it stays, under another name."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, RowMapping, and_, bindparam, delete, func, not_, or_, select

from stemline.ledger.cell import load_cells
from stemline.ledger.database import LedgerDatabase
from stemline.ledger.forgotten_standing import recount_standing
from stemline.ledger.lookup import one_of
from stemline.ledger.repetition import repeating_verbs
from stemline.ledger.tables import (
    SAME_TRACK,
    attempts,
    backfill_tracks,
    backfills,
    datasets,
    events,
    inbox,
    rejects,
    run_tracks,
    runs,
    tombstones,
    tracks,
)
from stemline.ledger.transition import LedgerEvent, write_event
from stemline.records import IN_HAND, Code, State
from stemline.tombstone import Tombstone, tombstone_from_tree

TRACKS_A_SLICE = 2_000
REWORDED = "It named a track that was forgotten."
_PAID = (State.COLLECTED, State.PUBLISHED, State.QUARANTINED, State.EXPIRED)


@dataclass(frozen=True, slots=True)
class LedgerTrack:
    """What the ledger knows of a track that tells who it is."""

    track_id: str
    provider: str
    recipe: str
    state: State
    location: str
    columns: Mapping[str, Any]


@repeating_verbs
class Forgetting:
    """Tombstones, and the tracks that they stand for."""

    def __init__(self, database: LedgerDatabase) -> None:
        self._database = database

    def tombstones(self) -> list[Tombstone]:
        """Give every tombstone the ledger has."""
        with self._database.read() as connection:
            texts = list(connection.scalars(select(tombstones.c.content).order_by(tombstones.c.tombstone_id)))
        return [tombstone_from_tree(json.loads(text)) for text in texts]

    def keep(self, tombstone: Tombstone) -> None:
        """Have rows of later manifests that are about this be rejected; said again, the last word counts."""
        one = tombstones.c.tombstone_id == tombstone.tombstone_id
        cells = {"forgotten_at": tombstone.forgotten_at, "content": json.dumps(tombstone.as_tree())}
        with self._database.write() as connection:
            if not connection.execute(tombstones.update().where(one).values(**cells)).rowcount:
                row = {"tombstone_id": tombstone.tombstone_id, **cells}
                connection.execute(tombstones.insert(), [row])

    def forget(self, tombstone: Tombstone, track_ids: Collection[str]) -> dict[str, State]:
        """Empty all that tells who these tracks are, of every provider and recipe; what was paid stays booked.

        Gives those that are left as they are, since somebody may be at them, and where they stand.
        """
        left: dict[str, State] = {}
        ordered = sorted(track_ids)
        for start in range(0, max(1, len(ordered)), TRACKS_A_SLICE):
            with self._database.write() as connection:
                step = _ForgettingStep(connection, self._database, tombstone)
                left |= step.run(ordered[start : start + TRACKS_A_SLICE])
        return left

    def under_way(self, track_ids: Collection[str]) -> dict[str, State]:
        """Give those of these tracks that `forget` would leave, and where they stand."""
        with self._database.read() as connection:
            return {
                track_id: state
                for some in _slices(track_ids)
                for track_id, state in _under_way(connection, some).items()
            }

    def every_track(self) -> Iterator[LedgerTrack]:
        """Stream what is known of every track that is not forgotten."""
        names = ("track_id", "provider", "recipe", "state", "location", "columns")
        query = select(*(tracks.c[name] for name in names)).where(tracks.c.code != Code.FORGOTTEN)
        with self._database.read() as connection:
            for row in connection.execute(query.execution_options(yield_per=TRACKS_A_SLICE)):
                track_id, provider, recipe, state, location, columns = row
                yield LedgerTrack(track_id, provider, recipe, State(state), location, load_cells(columns))
        yield from self._every_frozen()

    def _every_frozen(self) -> Iterator[LedgerTrack]:
        """Stream what backfills have frozen and no run has planned yet."""
        frozen = backfill_tracks.join(backfills, backfills.c.name == backfill_tracks.c.backfill)
        is_known = select(tracks.c.track_id).where(tracks.c.track_id == backfill_tracks.c.track_id).exists()
        names = (
            backfill_tracks.c.track_id,
            backfills.c.provider,
            backfills.c.recipe,
            backfill_tracks.c.track,
        )
        query = select(*names).select_from(frozen).where(not_(is_known))
        with self._database.read() as connection:
            for track_id, provider, recipe, text in connection.execute(
                query.execution_options(yield_per=TRACKS_A_SLICE)
            ):
                row = load_cells(text)
                yield LedgerTrack(track_id, provider, recipe, State.PLANNED, row["location"], row["columns"])

    def rejected(self, track_ids: Collection[str]) -> dict[str, str]:
        """Give those of these ids that a row has which no run could use, with its location."""
        query = select(rejects.c.track_id, rejects.c.location)
        with self._database.read() as connection:
            rows = [
                row
                for some in _slices(track_ids)
                for row in connection.execute(query.where(one_of(rejects.c.track_id, some)))
            ]
        return {row.track_id: row.location or "" for row in rows}

    def attempts_of(self, track_ids: Collection[str]) -> dict[str, dict[str, str | None]]:
        """Give the attempts at these tracks by their tokens, with the job that each has with its provider."""
        query = select(attempts.c.track_id, attempts.c.token, attempts.c.job_id)
        found: dict[str, dict[str, str | None]] = {}
        with self._database.read() as connection:
            for some in _slices(track_ids):
                for row in connection.execute(query.where(one_of(attempts.c.track_id, some))):
                    found.setdefault(row.track_id, {})[row.token] = row.job_id
        return found

    def count(self, track_ids: Collection[str]) -> int:
        """Give how many rows still name one of these tracks."""
        tables = (tracks, attempts, run_tracks, events, rejects, backfill_tracks)
        with self._database.read() as connection:
            return sum(
                connection.execute(
                    select(func.count()).select_from(table).where(one_of(table.c.track_id, some))
                ).scalar_one()
                for table in tables
                for some in _slices(track_ids)
            )

    def reword_runs(self, is_named_in: Callable[[str], bool]) -> int:
        """Take what names one of the tracks out of what earlier runs ended with, and how far these are counted."""
        changed = 0
        with self._database.write() as connection:
            query = select(runs.c.run_id, runs.c.totals, runs.c.left_as_they_stood)
            for run_id, *texts in connection.execute(query).all():
                totals, left = (json.loads(text or "{}") for text in texts)
                values = {}
                if is_named_in(str(totals.get("reason") or "")):
                    values["totals"] = json.dumps({**totals, "reason": REWORDED})
                if is_named_in(str(left.get("through") or "")):
                    # It begins again: what was counted is not there to be counted twice.
                    values["left_as_they_stood"] = json.dumps({**left, "through": ""})
                if values:
                    connection.execute(runs.update().where(runs.c.run_id == run_id).values(**values))
                    changed += 1
        return changed

    def vacuum(self) -> bool:
        """Have the database's files hold nothing of what was emptied; tell whether nobody else kept it from that."""
        return self._database.vacuum()


@dataclass(frozen=True, slots=True)
class _ForgettingStep:
    """One transaction, about some tracks."""

    connection: Connection
    database: LedgerDatabase
    tombstone: Tombstone

    def run(self, some: Sequence[str]) -> dict[str, State]:
        left = _under_way(self.connection, some)
        names = {each: self.tombstone.pseudonym(each) for each in some if each not in left}
        query = select(tracks).where(one_of(tracks.c.track_id, names))
        rows = self.connection.execute(query).mappings().all()
        self._empty_rejects(names, [row["location"] for row in rows])
        self.connection.execute(delete(backfill_tracks).where(one_of(backfill_tracks.c.track_id, names)))
        if rows:
            now = self.database.clock()
            self._rename_tracks(now, rows, names)
            self._rename_members(names)
            detail = {"tombstone": self.tombstone.tombstone_id, "tracks": len(rows)}
            write_event(self.connection, now, {}, LedgerEvent("forget", detail=detail))
        return left

    def _rename_tracks(self, now: datetime, rows: Sequence[RowMapping], names: Mapping[str, str]) -> None:
        said = {"code": Code.FORGOTTEN.value, "sentence": self.tombstone.sentence, "updated_at": now}
        emptied = {
            "location": "",
            "columns": "{}",
            "duration_seconds": None,
            "size_bytes": None,
            "published_as": None,
            "state": State.REJECTED.value,
            "is_retryable": False,
            **said,
        }
        cells = [{**row, "track_id": names[row["track_id"]], **emptied} for row in rows]
        self.connection.execute(tracks.insert(), cells)
        published = [row for row in rows if row["state"] == State.PUBLISHED]
        recount_standing(self.connection, published)
        self._empty_attempts(names, said)
        self.connection.execute(delete(tracks).where(one_of(tracks.c.track_id, names)))

    def _empty_attempts(self, names: Mapping[str, str], said: Mapping[str, Any]) -> None:
        query = select(attempts).where(one_of(attempts.c.track_id, names))
        made = self.connection.execute(query).mappings().all()
        if not made:
            return
        self._discount(made)
        jobs = sorted({row["job_id"] for row in made if row["job_id"] is not None})
        self.connection.execute(inbox.update().where(one_of(inbox.c.job_id, jobs)).values(job=None))
        empty = dict.fromkeys(("source_sha256", "request", "job", "result", "batch_id"))
        cells = [
            {
                "the_token": row["token"],
                "new_id": names[row["track_id"]],
                "new_state": State.EXPIRED.value if row["state"] in _PAID else row["state"],
            }
            for row in made
        ]
        one = attempts.update().where(attempts.c.token == bindparam("the_token"))
        moved: dict[str, Any] = {"track_id": bindparam("new_id"), "state": bindparam("new_state")}
        self.connection.execute(one.values(**moved, **empty, **said), cells)

    def _discount(self, made: Sequence[RowMapping]) -> None:
        """Take what was published of these tracks out of the counts of their datasets."""
        here = self.database.destination
        counted = Counter(
            (row["provider"], row["recipe"], row["dataset_id"] or (here.dataset_id if here else ""))
            for row in made
            if row["state"] == State.PUBLISHED
        )
        for (provider, recipe, dataset_id), count in counted.items():
            one = and_(
                datasets.c.provider == provider,
                datasets.c.recipe == recipe,
                datasets.c.dataset_id == dataset_id,
            )
            fewer = datasets.update().where(one).values(tracks=datasets.c.tracks - count)
            self.connection.execute(fewer)

    def _rename_members(self, names: Mapping[str, str]) -> None:
        """Have runs and events be about the new names; what events told is emptied."""
        members = self.connection.execute(
            select(run_tracks).where(one_of(run_tracks.c.track_id, names))
        ).mappings()
        renamed = [{"run_id": row["run_id"], "track_id": names[row["track_id"]]} for row in members.all()]
        if renamed:
            self.connection.execute(run_tracks.insert(), renamed)
            self.connection.execute(delete(run_tracks).where(one_of(run_tracks.c.track_id, names)))
        one = events.update().where(events.c.track_id == bindparam("the_track"))
        cells = [{"the_track": old, "new_id": new} for old, new in names.items()]
        self.connection.execute(one.values(track_id=bindparam("new_id"), detail=None), cells)

    def _empty_rejects(self, names: Mapping[str, str], locations: Sequence[str]) -> None:
        theirs = or_(one_of(rejects.c.track_id, names), one_of(rejects.c.location, locations))
        empty = {"track_id": None, "location": None, "code": Code.FORGOTTEN.value}
        said = rejects.update().where(theirs).values(**empty, sentence=self.tombstone.sentence)
        self.connection.execute(said)


def _under_way(connection: Connection, some: Sequence[str]) -> dict[str, State]:
    """Give which of these tracks somebody may be at; what cannot be published waits for nobody."""
    is_in_batch = select(attempts.c.token).where(
        SAME_TRACK, attempts.c.state == State.COLLECTED, attempts.c.batch_id.is_not(None)
    )
    query = select(tracks.c.track_id, tracks.c.state).where(
        one_of(tracks.c.track_id, some),
        tracks.c.state.in_(IN_HAND),  # somebody may be at them: they are not forgotten before that is over
        or_(tracks.c.code != Code.UNPUBLISHABLE, is_in_batch.correlate(tracks).exists()),
    )
    return {row.track_id: State(row.state) for row in connection.execute(query)}


def _slices(track_ids: Collection[str]) -> Iterator[list[str]]:
    ordered = sorted(track_ids)
    return (ordered[start : start + TRACKS_A_SLICE] for start in range(0, len(ordered), TRACKS_A_SLICE))
