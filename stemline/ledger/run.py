"""Runs: when each began and ended, with which key, and the rows of its manifest it could not use."""

from __future__ import annotations

import json
import secrets
from collections.abc import Iterable, Mapping
from itertools import islice
from typing import Any

from sqlalchemy import ColumnElement, Connection, RowMapping, and_, func, not_, select

from stemline.errors import LedgerConflict
from stemline.ledger.database import LedgerDatabase
from stemline.ledger.membership import is_large
from stemline.ledger.repetition import repeating_verbs
from stemline.ledger.row_mapping import RunRecord, run_from_row
from stemline.ledger.tables import rejects, run_tracks, runs
from stemline.ledger.transition import LedgerEvent, write_event
from stemline.records import Recipe, Reject

ROWS_A_STATEMENT = 10_000


@repeating_verbs
class Runs:
    """When each run began and ended, and the manifest rows it could not use."""

    def __init__(self, database: LedgerDatabase) -> None:
        self._database = database

    def start(  # noqa: PLR0913 - what a run is
        self,
        name: str,
        provider: str,
        recipe: Recipe,
        config_digest: str,
        key_id: str | None = None,
        *,
        backfill: str | None = None,
    ) -> str:
        """Open a run and give its id, which sorts by time; `backfill` names the one it is part of."""
        now = self._database.clock()
        run = {
            "run_id": f"{name}-{now:%Y%m%dT%H%M%SZ}-{secrets.token_hex(3)}",
            "name": name,
            "provider": provider,
            "recipe": recipe.name,
            "config_digest": config_digest,
            "key_id": key_id,
            "started_at": now,
            "backfill": backfill,
        }
        with self._database.write() as connection:
            connection.execute(runs.insert(), [run])
            write_event(connection, now, run, LedgerEvent("start_run"))
        return str(run["run_id"])

    def finish(self, run_id: str, exit_code: int, totals: Mapping[str, Any]) -> None:
        """Close a run with its exit code and the totals it reports (anything JSON takes)."""
        now = self._database.clock()
        ending = {"finished_at": now, "exit_code": exit_code, "totals": json.dumps(totals, default=str)}
        with self._database.write() as connection:
            find_run(connection, run_id)
            connection.execute(runs.update().where(runs.c.run_id == run_id).values(**ending))
            write_event(
                connection,
                now,
                {"run_id": run_id},
                LedgerEvent("finish_run", detail={"exit_code": exit_code}),
            )

    def get(self, run_id: str) -> RunRecord:
        """Give a run; raises LedgerConflict when there is none of that id."""
        with self._database.read() as connection:
            return run_from_row(find_run(connection, run_id))

    def last(self, name: str) -> RunRecord | None:
        """Give the newest run of a configuration, finished or not; one that found nothing to do hides no other."""
        with self._database.read() as connection:
            row = newest_run(connection, name)
        return None if row is None else run_from_row(row)

    def before(self, run_id: str, limit: int) -> list[str]:
        """Give the newest runs before this one of its configuration, provider and recipe; raises LedgerConflict."""
        with self._database.read() as connection:
            run = find_run(connection, run_id)
            same = (runs.c[name] == run[name] for name in ("name", "provider", "recipe"))
            query = select(runs.c.run_id).where(*same, runs.c.started_at < run["started_at"])
            return list(connection.scalars(query.order_by(runs.c.started_at.desc()).limit(limit)))

    def is_large(self, run_id: str, rows: int) -> bool:
        """Tell whether a run is about more than so many tracks that were not published before it began."""
        with self._database.read() as connection:
            return is_large(connection, run_id, rows)

    def reject(self, run_id: str, rows: Iterable[Reject]) -> int:
        """Keep manifest rows that became no track, and give how many are new.

        A row that did become a track and proves unusable later ends as that track's state: never both, so that
        selected tracks plus these rows are always the rows of the manifest.
        """
        now = self._database.clock()
        cells = (_reject_cells(run_id, row) for row in rows)
        added = 0
        with self._database.write() as connection:
            while chunk := list(islice(cells, ROWS_A_STATEMENT)):
                if unseen := _unseen(connection, run_id, chunk):
                    connection.execute(rejects.insert(), unseen)
                    added += len(unseen)
            if added:
                write_event(
                    connection, now, {"run_id": run_id}, LedgerEvent("reject", detail={"rows": added})
                )
        return added


def did_nothing() -> ColumnElement[bool]:
    """Give the clause for runs that ended well and were about no row of a manifest at all."""
    has_tracks = select(run_tracks.c.run_id).where(run_tracks.c.run_id == runs.c.run_id).exists()
    has_rejects = select(rejects.c.run_id).where(rejects.c.run_id == runs.c.run_id).exists()
    return and_(
        func.coalesce(runs.c.exit_code, -1) == 0, runs.c.standing == 0, not_(has_tracks), not_(has_rejects)
    )


def newest_run(connection: Connection, name: str, *further: ColumnElement[bool]) -> RowMapping | None:
    """Give the newest run of a configuration that was about anything; None where there is none."""
    query = (
        select(runs)
        .where(runs.c.name == name, not_(did_nothing()), *further)
        .order_by(runs.c.started_at.desc(), runs.c.run_id.desc())
        .limit(1)
    )
    return connection.execute(query).mappings().one_or_none()


def find_run(connection: Connection, run_id: str) -> RowMapping:
    """Give a run's row; raises LedgerConflict when there is none of that id."""
    row = connection.execute(select(runs).where(runs.c.run_id == run_id)).mappings().one_or_none()
    if row is None:
        message = f"The ledger knows no run {run_id}."
        raise LedgerConflict(message)
    return row


def _reject_cells(run_id: str, reject: Reject) -> dict[str, Any]:
    return {
        "run_id": run_id,
        "row_number": reject.row,
        "track_id": reject.track_id,
        "location": reject.location,
        "code": reject.code,
        "sentence": reject.sentence,
    }


def _unseen(connection: Connection, run_id: str, chunk: list[dict[str, Any]]) -> list[dict[str, Any]]:
    numbers = [cells["row_number"] for cells in chunk]
    query = select(rejects.c.row_number).where(rejects.c.run_id == run_id, rejects.c.row_number.in_(numbers))
    seen = set(connection.scalars(query))
    return [cells for cells in chunk if cells["row_number"] not in seen]
