"""One transaction of an adoption: some tracks of the dataset's tables, each new, behind, known, or there twice."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import Connection, RowMapping, select

from stemline.ledger import credit
from stemline.ledger.membership import join_run
from stemline.ledger.row_mapping import BatchRow, dump_job, dump_lasting, track_cells
from stemline.ledger.tables import attempts, batches, entries, runs, tracks
from stemline.ledger.transition import AttemptTransition, move_attempt
from stemline.records import Code, Recipe, State

LIVE = frozenset(
    {State.SUBMITTING, State.PROCESSING, State.READY, State.COLLECTED, State.PUBLISHED, State.UNKNOWN}
)
"""The states of which a track has one attempt at most."""
SUPERSEDED = "The dataset holds this track from a later attempt, which was adopted."


@dataclass(frozen=True, slots=True)
class AdoptedBatch:
    """Some of the tracks that a part of the tables holds, of one provider and recipe."""

    batch_id: str
    dataset_id: str
    name: str
    """The configuration's, for runs whose id does not tell."""
    provider: str
    recipe: Recipe
    rows: Sequence[BatchRow]
    """At most 1,000; no token twice."""


@dataclass(frozen=True, slots=True)
class AdoptionCounts:
    """What an adoption came to."""

    tracks: int = 0
    credits: int = 0
    known: int = 0
    """Tracks the ledger knew as published already."""
    twice: int = 0
    """Rows of tracks that are in the tables from another attempt as well: paid for twice, and left as they are."""
    without_stems: int = 0
    """Tracks of which the stems table has no row."""
    lone_parts: int = 0
    """Parts of the stems table whose part of the tracks table is gone: what they hold is not known."""

    def __add__(self, other: AdoptionCounts) -> AdoptionCounts:
        """Give both together."""
        return AdoptionCounts(
            self.tracks + other.tracks,
            self.credits + other.credits,
            self.known + other.known,
            self.twice + other.twice,
            self.without_stems + other.without_stems,
            self.lone_parts + other.lone_parts,
        )


class AdoptionStep:
    """One transaction's adoption."""

    def __init__(self, connection: Connection, now: datetime, batch: AdoptedBatch) -> None:
        """Take the batch, and read what the ledger knows of its tracks."""
        self._connection = connection
        self._now = now
        self._batch = batch
        self._key = {"provider": batch.provider, "recipe": batch.recipe.name}
        self._by_track = self._read_attempts()

    def run(self) -> AdoptionCounts:
        """Adopt what the ledger does not know as published."""
        twice, known = 0, list[str]()
        new: list[BatchRow] = []
        behind: list[tuple[RowMapping, BatchRow]] = []
        seen: set[str] = set()
        for row in self._batch.rows:
            theirs = self._by_track[row.attempt.track.track_id]
            own = next((each for each in theirs if each["token"] == row.attempt.token), None)
            published = [each["number"] for each in theirs if each["state"] == State.PUBLISHED]
            if own is not None and own["state"] == State.PUBLISHED:
                known.append(row.attempt.token)
            elif row.attempt.track.track_id in seen or max(published, default=0) >= row.attempt.number:
                twice += 1
            elif own is not None:
                behind.append((own, row))
            else:
                new.append(row)
            seen.add(row.attempt.track.track_id)
        self._place_here(known)
        taken = [*new, *(row for _, row in behind)]
        if taken:
            self._add_runs(taken)
            self._add_batch(taken)
            for row in taken:
                self._end_others(row)
            self._publish_tracks(taken)
            self._add_attempts(new)
            for own, row in behind:
                self._bring_up(own, row)
        return AdoptionCounts(len(taken), sum(row.credits_charged for row in taken), len(known), twice)

    def _place_here(self, tokens: Sequence[str]) -> None:
        """Have attempts that are in these tables lie in this dataset, such as one whose files were copied."""
        if tokens:
            chosen = attempts.update().where(attempts.c.token.in_(tokens))
            elsewhere = attempts.c.dataset_id.is_distinct_from(self._batch.dataset_id)
            self._connection.execute(chosen.where(elsewhere).values(dataset_id=self._batch.dataset_id))

    def _read_attempts(self) -> dict[str, list[RowMapping]]:
        names = [row.attempt.track.track_id for row in self._batch.rows]
        query = select(attempts).where(
            *(attempts.c[name] == value for name, value in self._key.items()), attempts.c.track_id.in_(names)
        )
        found: dict[str, list[RowMapping]] = defaultdict(list)
        for row in self._connection.execute(query).mappings():
            found[row["track_id"]].append(row)
        return found

    def _add_runs(self, rows: Sequence[BatchRow]) -> None:
        """Make the runs that published them, of which the tables tell the id and the days."""
        by_run: dict[str, list[BatchRow]] = defaultdict(list)
        for row in rows:
            by_run[row.run_id].append(row)
        known = set(self._connection.scalars(select(runs.c.run_id).where(runs.c.run_id.in_(list(by_run)))))
        for run_id, members in by_run.items():
            times = [member.collected.collected_at for member in members]
            if run_id not in known:
                cells = {
                    **self._key,
                    "run_id": run_id,
                    "name": run_id.rsplit("-", 2)[0] if run_id.count("-") > 1 else self._batch.name,
                    "config_digest": "adopted",
                    "started_at": _started_at(run_id) or min(times),
                    "finished_at": max(times),
                    "exit_code": 0,
                    "totals": "{}",
                }
                self._connection.execute(runs.insert(), [cells])
            join_run(self._connection, run_id, [member.attempt.track.track_id for member in members], ())

    def _add_batch(self, rows: Sequence[BatchRow]) -> None:
        batch_id = self._batch.batch_id
        one = batches.c.batch_id == batch_id
        if self._connection.execute(select(batches.c.members).where(one)).first() is not None:
            return
        cells = {
            "batch_id": batch_id,
            "run_id": rows[0].run_id,
            "members": len(self._batch.rows),
            "opened_at": min(row.collected.collected_at for row in rows),
            "published_at": max(row.collected.collected_at for row in rows),
        }
        self._connection.execute(batches.insert(), [cells])

    def _end_others(self, row: BatchRow) -> None:
        """End what an older ledger still believes under way for a track that another attempt finished."""
        for other in self._by_track[row.attempt.track.track_id]:
            if other["token"] == row.attempt.token or other["state"] not in LIVE:
                continue
            if other["state"] == State.PUBLISHED:  # it was made again by whoever had the ledger since
                one = attempts.update().where(attempts.c.token == other["token"])
                ended = {
                    "state": State.EXPIRED,
                    "code": Code.SUPERSEDED,
                    "sentence": SUPERSEDED,
                    "batch_id": None,
                }
                self._connection.execute(one.values(**ended, updated_at=self._now))
                continue
            # What was paid is kept as paid; whether the rest was charged, the next balance tells.
            is_paid = other["credits_charged"] is not None
            state = State.EXPIRED if is_paid else State.FAILED
            code = Code.OUTPUTS_EXPIRED if is_paid else Code.SUBMIT_UNANSWERED
            values = {} if is_paid else {"is_disputed": True}
            move_attempt(
                self._connection,
                self._now,
                other,
                AttemptTransition("adopt", state, state, code, SUPERSEDED, values=values),
            )

    def _publish_tracks(self, rows: Sequence[BatchRow]) -> None:
        names = {row.attempt.track.track_id: row for row in rows}
        own = [tracks.c[name] == value for name, value in self._key.items()]
        query = select(tracks.c.track_id).where(*own, tracks.c.track_id.in_(list(names)))
        known = set(self._connection.scalars(query))
        fixed = {
            "state": State.PUBLISHED.value,
            "code": Code.OK.value,
            "sentence": "",
            "is_retryable": False,
            "updated_at": self._now,
            "published_as": None,
        }
        if known:
            chosen = tracks.update().where(*own, tracks.c.track_id.in_(list(known)))
            self._connection.execute(chosen.values(**fixed))
        new = [
            {
                **track_cells(row.attempt.track),
                **self._key,
                **fixed,
                "credits": row.credits_charged,
                "failures": 0,
                "run_id": row.run_id,
            }
            for name, row in names.items()
            if name not in known
        ]
        if new:
            self._connection.execute(tracks.insert(), new)

    def _add_attempts(self, rows: Sequence[BatchRow]) -> None:
        if not rows:
            return
        cells = []
        for row in rows:
            taken = {each["number"] for each in self._by_track[row.attempt.track.track_id]}
            number = row.attempt.number
            cells.append(
                {
                    **self._key,
                    **self._published(row),
                    "token": row.attempt.token,
                    "track_id": row.attempt.track.track_id,
                    "number": max(taken) + 1 if number in taken else number,
                    "run_id": row.run_id,
                    "credits_reserved": row.credits_charged,
                    "reserved_at": row.collected.collected_at,
                    "sent_at": row.collected.collected_at,
                    "job_id": row.job.job_id,
                }
            )
        self._connection.execute(attempts.insert(), cells)
        owners = [{**self._key, **cell, "charged": cell["credits_charged"]} for cell in cells]
        credit.book_adopted(self._connection, owners)

    def _bring_up(self, own: RowMapping, row: BatchRow) -> None:
        """Book an attempt that the ledger knew from before it was published."""
        token = own["token"]
        kinds = set(self._connection.scalars(select(entries.c.kind).where(entries.c.token == token)))
        if "charge" not in kinds:
            credit.charge_adopted(
                self._connection, self._now, token, row.credits_charged, is_open="release" not in kinds
            )
        values: dict[str, Any] = {
            **self._published(row),
            "job_id": own["job_id"] or row.job.job_id,
            "sent_at": own["sent_at"] or own["reserved_at"],
        }
        if own["credits_charged"] is not None and "charge" in kinds:
            values["credits_charged"] = own["credits_charged"]
        self._connection.execute(attempts.update().where(attempts.c.token == token).values(**values))

    def _published(self, row: BatchRow) -> dict[str, Any]:
        return {
            "state": State.PUBLISHED.value,
            "code": Code.OK.value,
            "sentence": "",
            "is_disputed": False,
            "replaces": None,
            "credits_charged": row.credits_charged,
            "source_sha256": row.source_sha256,
            "ready_at": row.collected.collected_at,
            "job": dump_job(row.job),
            "result": dump_lasting(row.collected),
            "batch_id": self._batch.batch_id,
            "dataset_id": self._batch.dataset_id,
            "updated_at": row.collected.collected_at,
        }


def _started_at(run_id: str) -> datetime | None:
    """Give the instant that a run's id names."""
    try:
        return datetime.strptime(run_id.rsplit("-", 2)[-2], "%Y%m%dT%H%M%SZ").replace(tzinfo=UTC)
    except (IndexError, ValueError):
        return None
