"""A run's account: its tracks one by one with what each cost, and the runs of the same name before it."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import func, literal, select

from stemline.ledger.cell import load_cells
from stemline.ledger.database import LedgerDatabase
from stemline.ledger.membership import of_run
from stemline.ledger.repetition import repeating_verbs
from stemline.ledger.run import find_run
from stemline.ledger.tables import QUEUE_ORDER, TRACK_KEY, Cells, attempts, runs, totals, tracks
from stemline.records import Code, State

ROWS_A_PAGE = 1_000
MOST_RUNS = 1_000
"""So many runs of a name are looked back at, the newest."""
_TRACK_CELLS = ("track_id", "location", "sentence", "duration_seconds", "columns", "state", "code")


@dataclass(frozen=True, slots=True)
class TrackAccount:
    """One track of a run as it stands, and what the run paid for it."""

    track_id: str
    location: str
    state: State
    code: Code
    sentence: str
    duration_seconds: float | None
    """As decoded, else as it was probed or given."""
    columns: Mapping[str, Any]
    """As the manifest has them."""
    credits_charged: int
    """By attempts of this run."""
    bpm: float | None
    key: str | None
    stems: tuple[Mapping[str, Any], ...]
    """The fields of each `StemFile` that was kept of it."""


@dataclass(frozen=True, slots=True)
class RunOutcome:
    """What one run of a configuration came to."""

    run_id: str
    started_at: datetime
    exit_code: int | None
    charged: int
    published: int | None
    """By it; None: it has not ended, or is too old to tell."""


@repeating_verbs
class RunAccounts:
    """What a run is accounted for with."""

    def __init__(self, database: LedgerDatabase) -> None:
        self._database = database

    def tracks(self, run_id: str) -> Iterator[TrackAccount]:
        """Stream the run's tracks in the order of the queue, in bounded memory.

        Those that were published when the run selected them are not among them. Raises LedgerConflict when there is
        no such run.
        """
        mine = [attempts.c[name] == tracks.c[name] for name in TRACK_KEY]
        of_state = (*mine, attempts.c.state == tracks.c.state)
        standing = select(attempts.c.result).where(*of_state).order_by(attempts.c.number.desc()).limit(1)
        spent = select(func.coalesce(func.sum(attempts.c.credits_charged), 0)).where(*mine)
        with self._database.read() as connection:
            run = find_run(connection, run_id)
            query = (
                select(
                    *(tracks.c[name] for name in _TRACK_CELLS),
                    standing.correlate(tracks).scalar_subquery().label("result"),
                    spent.where(attempts.c.run_id == run_id)
                    .correlate(tracks)
                    .scalar_subquery()
                    .label("spent"),
                )
                .where(of_run(run))
                .order_by(*QUEUE_ORDER)
                .execution_options(yield_per=ROWS_A_PAGE)
            )
            for row in connection.execute(query).mappings():
                yield _account_from_row(row)

    def history(self, run_id: str, days: int) -> list[RunOutcome]:
        """Give the runs of the same name that began in the days before this one, and it, oldest first."""
        with self._database.read() as connection:
            run = find_run(connection, run_id)
            since = run["started_at"] - timedelta(days=days)
            spent = (totals.c.provider == runs.c.provider, totals.c.period == literal("run:") + runs.c.run_id)
            columns = [runs.c[name] for name in ("run_id", "started_at", "exit_code", "totals")]
            query = (
                select(*columns, func.coalesce(totals.c.charged, 0).label("charged"))
                .select_from(runs.outerjoin(totals, spent[0] & spent[1]))
                .where(runs.c.name == run["name"], runs.c.started_at > since)
                .where(runs.c.started_at <= run["started_at"])
                .order_by(runs.c.started_at.desc())
                .limit(MOST_RUNS)
            )
            return [_outcome_from_row(row) for row in connection.execute(query).mappings()][::-1]


def _account_from_row(row: Cells) -> TrackAccount:
    result: Mapping[str, Any] = json.loads(row["result"] or "{}")
    return TrackAccount(
        **{name: row[name] for name in ("track_id", "location", "sentence")},
        duration_seconds=result.get("duration_seconds") or row["duration_seconds"],
        state=State(row["state"]),
        code=Code(row["code"]),
        columns=load_cells(row["columns"]),
        credits_charged=int(row["spent"]),
        bpm=result.get("bpm"),
        key=result.get("key"),
        stems=tuple(result.get("stems", ())),
    )


def _outcome_from_row(row: Cells) -> RunOutcome:
    told: Mapping[str, Any] = json.loads(row["totals"] or "{}").get("published") or {}
    return RunOutcome(
        row["run_id"], row["started_at"], row["exit_code"], int(row["charged"]), told.get("by_this_run")
    )
