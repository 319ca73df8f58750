"""Queries: the counts, lists and streams that status, reports and plans read; they change nothing."""

from __future__ import annotations

import heapq
import json
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import ColumnElement, and_, case, func, or_, select, tuple_

from stemline.ledger.cell import load_cells
from stemline.ledger.database import LedgerDatabase
from stemline.ledger.lookup import these_tracks
from stemline.ledger.membership import is_waiting, of_run
from stemline.ledger.part import merged_batches
from stemline.ledger.repetition import repeating_verbs
from stemline.ledger.retention import RowsLeft
from stemline.ledger.row_mapping import (
    BatchRow,
    TrackStatus,
    attempts_with_tracks,
    batch_row_from_row,
    job_from_row,
    load_collected,
    reject_from_row,
    status_from_row,
)
from stemline.ledger.run import find_run
from stemline.ledger.standing import RunStanding
from stemline.ledger.tables import QUEUE_ORDER, SAME_TRACK, attempts, batches, events, rejects, runs, tracks
from stemline.records import MIX, Code, Job, Recipe, Reject, State

ROWS_A_PAGE = 1_000
LOCATIONS_A_SLICE = 10_000
_MEASURED = ("location", "duration_seconds", "size_bytes", "columns", "updated_at")
NEWEST = 500
"""So many finished tracks tell how fast a provider is."""
LEFT_TO_LATER = (Code.DOWNLOAD_FAILED, Code.JOB_LATE)
"""Why a paid track is not collected: the next run goes on with it."""
NEED_ATTENTION = tuple(state for state in State if state not in {State.PUBLISHED, State.PLANNED})


@dataclass(frozen=True, slots=True)
class PublishedTrack:
    """When one track was published, and its music."""

    token: str
    ready_at: datetime | None
    published_at: datetime
    bpm: float | None
    key: str | None
    bpm_source: str | None
    key_source: str | None


@dataclass(frozen=True, slots=True)
class PublishedShares:
    """By whom the published tracks of a run were published."""

    by_this_run: int
    by_others: int
    """By other runs, while this one knew them unpublished."""
    before: int
    """They were published when the run selected them."""


@dataclass(frozen=True, slots=True)
class MeasuredTrack:
    """What a file was found to be when it was last opened."""

    location: str
    duration_seconds: float
    size_bytes: int | None
    columns: str
    """As `load_cells` reads them; of a listing, what its tags said."""
    measured_before: datetime


@dataclass(frozen=True, slots=True)
class TrackTiming:
    """What one published track tells of speed."""

    name: str
    """Of the configuration it was made with."""
    recipe: str
    batch_id: str
    job: Job
    duration_seconds: float
    collected_at: datetime
    size_bytes: int
    """Of all its stems."""


@repeating_verbs
class Queries:
    """The reads for people. A run's rows are the tracks it selected plus the rows it rejected."""

    def __init__(self, database: LedgerDatabase) -> None:
        self._database = database

    def counts(self, run_id: str) -> dict[State, int]:
        """Give how many of the run's manifest rows stand in each state; they sum to the manifest."""
        with self._database.read() as connection:
            return RunStanding(connection, find_run(connection, run_id)).counts()

    def codes(self, run_id: str) -> dict[Code, int]:
        """Give how many of the run's manifest rows carry each code; they sum to the manifest."""
        with self._database.read() as connection:
            return RunStanding(connection, find_run(connection, run_id)).codes()

    def published_shares(self, run_id: str) -> PublishedShares:
        """Give by whom the run's published tracks were published."""
        by_this_run = func.coalesce(func.sum(case((batches.c.run_id == run_id, 1), else_=0)), 0)
        published = (attempts.c.state == State.PUBLISHED, tracks.c.state == State.PUBLISHED)
        joined = tracks.join(attempts, SAME_TRACK).join(batches, batches.c.batch_id == attempts.c.batch_id)
        with self._database.read() as connection:
            run = find_run(connection, run_id)
            query = select(by_this_run, func.count()).select_from(joined).where(of_run(run), *published)
            mine, count = connection.execute(query).one()
        theirs = int(count) - int(mine) + RowsLeft.of_run(run).by_state()[State.PUBLISHED]
        return PublishedShares(int(mine), theirs, run["standing"])

    def track_list(self, run_id: str, *states: State) -> Iterator[TrackStatus]:
        """Stream the run's tracks in these states (none: every state that needs attention), in the manifest's order."""
        return self._stream(run_id, tracks.c.state.in_(states or NEED_ATTENTION))

    def _stream(self, run_id: str, wanted: ColumnElement[bool]) -> Iterator[TrackStatus]:
        place = tuple_(tracks.c.position, tracks.c.track_id)
        query = select(tracks).where(wanted).order_by(tracks.c.position, tracks.c.track_id).limit(ROWS_A_PAGE)
        last = (-1, "")
        while True:
            with self._database.read() as connection:
                mine = of_run(find_run(connection, run_id))
                page = connection.execute(query.where(mine, place > last)).mappings().all()
            yield from (status_from_row(row) for row in page)
            if len(page) < ROWS_A_PAGE:
                return
            last = (page[-1]["position"], page[-1]["track_id"])

    def failures(self, run_id: str) -> Iterator[TrackStatus]:
        """Stream the run's tracks that failed, are unknown, quarantined or expired, or wait for the next run."""
        bad = tracks.c.state.in_([State.FAILED, State.UNKNOWN, State.QUARANTINED, State.EXPIRED])
        waiting = tracks.c.state.in_([State.PROCESSING, State.READY])
        return self._stream(run_id, or_(bad, and_(waiting, tracks.c.code.in_(LEFT_TO_LATER))))

    def rejected_rows(self, run_id: str) -> Iterator[Reject]:
        """Stream every manifest row the run could not use, in order, whether or not it ever became a track."""
        tracked = (
            Reject(status.position, status.track_id, status.location, status.code, status.sentence)
            for status in self.track_list(run_id, State.REJECTED)
        )
        yield from heapq.merge(self._rejects(run_id), tracked, key=lambda reject: reject.row)

    def _rejects(self, run_id: str) -> Iterator[Reject]:
        """Stream the rows that never became a track."""
        row_number = rejects.c.row_number
        query = select(rejects).where(rejects.c.run_id == run_id).order_by(row_number).limit(ROWS_A_PAGE)
        last = -1
        while True:
            with self._database.read() as connection:
                page = connection.execute(query.where(row_number > last)).mappings().all()
            yield from (reject_from_row(row) for row in page)
            if len(page) < ROWS_A_PAGE:
                return
            last = page[-1]["row_number"]

    def published_jobs(self, provider: str, job_ids: Sequence[str]) -> list[str]:
        """Give those of some jobs whose tracks are in the dataset: nobody will collect them again."""
        mine = (attempts.c.provider == provider) & attempts.c.job_id.in_(job_ids)
        query = select(attempts.c.job_id).where(mine, attempts.c.state == State.PUBLISHED)
        with self._database.read() as connection:
            return list(connection.execute(query).scalars())

    def history(self, track_id: str) -> list[dict[str, object]]:
        """Give a track's events, oldest first: at, run_id, token, verb, from_state, to_state, detail."""
        query = select(events).where(events.c.track_id == track_id).order_by(events.c.event_id)
        with self._database.read() as connection:
            rows = connection.execute(query).mappings().all()
        return [{**row, "detail": load_cells(row["detail"] or "{}")} for row in rows]

    def published_tracks(self, run_id: str) -> Iterator[PublishedTrack]:
        """Stream the run's published tracks in the order of the queue, in bounded memory.

        Those that were published when the run selected them are not among them.
        """
        columns = [attempts.c[name] for name in ("token", "ready_at", "updated_at", "result")]
        query = (
            select(*columns)
            .select_from(tracks.join(attempts, SAME_TRACK))
            .where(tracks.c.state == State.PUBLISHED, attempts.c.state == State.PUBLISHED)
            .order_by(*QUEUE_ORDER)
            .execution_options(yield_per=ROWS_A_PAGE)
        )
        with self._database.read() as connection:
            query = query.where(of_run(find_run(connection, run_id)))
            for token, ready_at, published_at, result in connection.execute(query):
                facts = json.loads(result)
                music = {name: facts[name] for name in ("bpm", "key", "bpm_source", "key_source")}
                yield PublishedTrack(token, ready_at, published_at, **music)

    def results(self, tokens: Collection[str]) -> list[BatchRow]:
        """Give all that is known of these collected attempts (at most 10,000), in the order of the queue."""
        query = (
            attempts_with_tracks()
            .where(attempts.c.token.in_(list(tokens)), attempts.c.result.is_not(None))
            .order_by(*QUEUE_ORDER)
        )
        with self._database.read() as connection:
            return [batch_row_from_row(row) for row in connection.execute(query).mappings()]

    def batches_of(self, tokens: Collection[str]) -> set[str]:
        """Give the batches whose names those parts bear that hold the rows of these attempts (at most 10,000)."""
        query = select(attempts.c.batch_id).where(
            attempts.c.token.in_(list(tokens)), attempts.c.batch_id.is_not(None)
        )
        with self._database.read() as connection:
            found = set(connection.scalars(query.distinct()))
            merged = merged_batches(connection, found)
        return {merged.get(batch, batch) for batch in found}

    def batches_of_run(self, run_id: str) -> set[str]:
        """Give the batches whose names those parts bear that hold the rows a run published."""
        query = select(func.coalesce(batches.c.merged_into, batches.c.batch_id)).where(
            batches.c.run_id == run_id, batches.c.published_at.is_not(None)
        )
        with self._database.read() as connection:
            return set(connection.scalars(query))

    def measured(self, provider: str, recipe: Recipe, track_ids: Collection[str]) -> dict[str, MeasuredTrack]:
        """Give what is known of each of these tracks (at most 10,000) whose length is."""
        query = select(
            tracks.c.track_id,
            *(tracks.c[name] for name in _MEASURED),
        ).where(
            these_tracks({"recipe": recipe.name, "provider": provider}, track_ids),
            tracks.c.duration_seconds.is_not(None),
        )
        with self._database.read() as connection:
            return {track_id: MeasuredTrack(*facts) for track_id, *facts in connection.execute(query)}

    def published_locations(self, provider: str, recipe: Recipe) -> Iterator[str]:
        """Stream the locations of the tracks that are published with a recipe of a provider."""
        of_kind = (tracks.c.provider == provider, tracks.c.recipe == recipe.name)
        query = select(tracks.c.location).where(*of_kind, tracks.c.state == State.PUBLISHED)
        with self._database.read() as connection:
            yield from connection.scalars(query.execution_options(yield_per=LOCATIONS_A_SLICE))

    def newest_tracks(self, provider: str) -> list[TrackTiming]:
        """Give the provider's newest published tracks whose length is known, the newest first."""
        columns = [attempts.c[name] for name in ("recipe", "batch_id", "job_id", "job", "result")]
        query = (
            select(runs.c.name, tracks.c.duration_seconds, *columns)
            .select_from(attempts.join(tracks, SAME_TRACK).join(runs, runs.c.run_id == attempts.c.run_id))
            .where(attempts.c.provider == provider, attempts.c.state == State.PUBLISHED)
            .where(attempts.c.batch_id.is_not(None), tracks.c.duration_seconds > 0)
            .order_by(attempts.c.reserved_at.desc())
            .limit(NEWEST)
        )
        with self._database.read() as connection:
            rows = connection.execute(query).mappings().all()
        found = []
        for row in rows:
            collected = load_collected(row["result"])
            size = sum(stem.size_bytes or 0 for stem in collected.stems if stem.stem != MIX)
            seconds = collected.duration_seconds or row["duration_seconds"]
            facts = (row["name"], row["recipe"], row["batch_id"], job_from_row(row), seconds)
            found.append(TrackTiming(*facts, collected.collected_at, size))
        return found

    def planned_tracks(self, run_id: str) -> Iterator[tuple[str, float | None]]:
        """Stream location and length of what waits to be sent, in the queue's order, in bounded memory."""
        query = (
            select(tracks.c.location, tracks.c.duration_seconds)
            .order_by(*QUEUE_ORDER)
            .execution_options(yield_per=ROWS_A_PAGE)
        )
        with self._database.read() as connection:
            run = find_run(connection, run_id)
            query = query.where(of_run(run), is_waiting(run))
            for row in connection.execute(query):
                yield row.location, row.duration_seconds
