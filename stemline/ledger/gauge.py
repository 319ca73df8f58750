"""Gauges: how a run stands and what money is at risk, read in one look at the ledger.

`status`, the metrics and whatever else shows a run under way read these, so that all of them show the same numbers.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Connection, RowMapping, case, func, select

from stemline.budget import Limits, Spending
from stemline.ledger.credit import read_spending
from stemline.ledger.database import LedgerDatabase
from stemline.ledger.repetition import repeating_verbs
from stemline.ledger.row_mapping import RunRecord, run_from_row
from stemline.ledger.run import find_run, newest_run
from stemline.ledger.standing import RunStanding
from stemline.ledger.tables import attempts, entries, leases, runs
from stemline.ledger.traffic import TrafficReading, read_traffic
from stemline.records import Code, State

PRESENT = timedelta(minutes=3)
"""What happened within it tells the present pace."""


@dataclass(frozen=True, slots=True)
class PresentPace:
    """What a provider finished for a run within the last minutes, counted from the first of what it was sent then."""

    tracks: int = 0
    credits: int = 0
    seconds: float = 0.0

    @property
    def tracks_a_minute(self) -> float | None:
        """How many tracks it finishes in a minute; None where nothing was finished of late."""
        return 60 * self.tracks / self.seconds if self.tracks and self.seconds >= 1 else None

    def seconds_for(self, credits_: float) -> float | None:
        """Give how long it needs for so many more; None where nothing was finished of late."""
        return credits_ * self.seconds / self.credits if self.credits and self.seconds >= 1 else None


@dataclass(frozen=True, slots=True)
class MoneyAtRisk:
    """What is paid, or may have been, with a provider and is not in the store: of all runs and keys."""

    in_flight: int = 0
    """Tracks that the provider works on."""
    uncollected: int = 0
    """Tracks that are paid and not collected."""
    uncollected_credits: int = 0
    links_expire_at: datetime | None = None
    """When the first link to what is paid and not collected expires; None: there is none, or no provider says."""
    oldest_sent_at: datetime | None = None
    """When the oldest of what is paid and not collected was submitted."""
    unknown: int = 0
    """Tracks of which it is not known whether their submit was accepted."""
    unknown_credits: int = 0
    disputed_credits: int = 0
    """Of failed jobs whose charge no provider has told."""


@dataclass(frozen=True, slots=True)
class RunGauges:
    """How the newest run of a configuration stands at one moment."""

    at: datetime
    run: RunRecord
    is_leased: bool
    """Whether it has not ended and its API key is held."""
    counts: dict[State, int]
    """The rows of its manifest by state."""
    codes: dict[Code, int]
    spending: Spending
    at_risk: MoneyAtRisk
    traffic: TrafficReading
    pace: PresentPace
    published_before: int
    """Rows of its manifest that were published when it selected them."""
    credits_to_come: float
    """What the tracks that the provider is not done with will cost, by their length."""
    in_line: int
    """Tracks that it is about and has not sent: planned, or held before it began while it goes on."""
    drift: int | None
    """Credits the vendor took beyond what the ledger charged, in the newest run that ended; None: not known."""

    @property
    def own_drift(self) -> int | None:
        """The drift of this run; None where it has not ended, or the provider's balance was not read."""
        return _drift_of(self.run)

    def seconds_for(self, credits_: float) -> float | None:
        """Give how long the provider needs for so many credits; None once it ended, and before anything was done.

        It goes on at its present pace, or where it has none at the run's so far.
        """
        if not credits_:
            return 0.0
        if self.run.finished_at is not None or not self.spending.run.charged:
            return None
        present = self.pace.seconds_for(credits_)
        elapsed = (self.at - self.run.started_at).total_seconds()
        return credits_ * elapsed / self.spending.run.charged if present is None else present


@repeating_verbs
class Gauges:
    """What a run is watched by."""

    def __init__(self, database: LedgerDatabase) -> None:
        self._database = database

    def read(self, name: str) -> RunGauges | None:
        """Give how the newest run of a configuration stands; None where nothing has run under this name."""
        with self._database.read() as connection:
            run = newest_run(connection, name)
            return None if run is None else self._read(connection, run)

    def of_run(self, run_id: str) -> RunGauges:
        """Give how this run stands."""
        with self._database.read() as connection:
            return self._read(connection, find_run(connection, run_id))

    def _read(self, connection: Connection, run: RowMapping) -> RunGauges:
        now = self._database.shared_now(connection)
        standing = RunStanding(connection, run)
        return RunGauges(
            at=now,
            run=run_from_row(run),
            is_leased=run["finished_at"] is None and _is_held(connection, run["key_id"], now),
            counts=standing.counts(),
            codes=standing.codes(),
            spending=read_spending(connection, run, now, Limits()),
            at_risk=_money_at_risk(connection, run["provider"]),
            traffic=read_traffic(connection, run["run_id"], now),
            pace=_present_pace(connection, run, now),
            published_before=run["standing"],
            credits_to_come=standing.credits_to_come(),
            in_line=standing.in_line(),
            drift=_last_drift(connection, run["name"]),
        )


def _present_pace(connection: Connection, run: RowMapping, now: datetime) -> PresentPace:
    """Give it from the entries of the last minutes, which an index finds: it costs the same in any ledger."""
    columns = entries.c
    is_charge = columns.kind == "charge"
    query = select(
        func.min(columns.at),
        func.count(case((is_charge, 1))),
        func.coalesce(func.sum(case((is_charge, columns.amount))), 0),
    ).where(
        columns.provider == run["provider"],
        columns.kind.in_(("reserve", "charge")),
        columns.at > now - PRESENT,
        columns.run_id == run["run_id"],
    )
    first, count, amount = connection.execute(query).one()
    return PresentPace() if first is None else PresentPace(count, int(amount), (now - first).total_seconds())


def _is_held(connection: Connection, key_id: str | None, now: datetime) -> bool:
    held = select(leases.c.key_id).where(leases.c.key_id == key_id, leases.c.expires_at > now)
    return connection.execute(held).first() is not None


def _money_at_risk(connection: Connection, provider: str) -> MoneyAtRisk:
    columns = attempts.c
    wanted = (State.PROCESSING, State.READY, State.UNKNOWN)
    query = (
        select(
            columns.state,
            func.count().label("tracks"),
            func.sum(func.coalesce(columns.credits_charged, columns.credits_reserved)).label("credits"),
            func.min(columns.links_expire_at).label("links_expire_at"),
            func.min(columns.sent_at).label("oldest_sent_at"),
        )
        .where(columns.provider == provider, columns.state.in_(wanted))
        .group_by(columns.state)
    )
    found: dict[str, Mapping[str, Any]] = {
        row["state"]: dict(row) for row in connection.execute(query).mappings()
    }
    ready, unknown = found.get(State.READY, {}), found.get(State.UNKNOWN, {})
    disputed = select(func.coalesce(func.sum(columns.credits_reserved), 0)).where(
        columns.provider == provider, columns.is_disputed
    )
    return MoneyAtRisk(
        in_flight=found.get(State.PROCESSING, {}).get("tracks", 0),
        uncollected=ready.get("tracks", 0),
        uncollected_credits=int(ready.get("credits", 0)),
        links_expire_at=ready.get("links_expire_at"),
        oldest_sent_at=ready.get("oldest_sent_at"),
        unknown=unknown.get("tracks", 0),
        unknown_credits=int(unknown.get("credits", 0)),
        disputed_credits=int(connection.execute(disputed).scalar_one()),
    )


def _last_drift(connection: Connection, name: str) -> int | None:
    run = newest_run(connection, name, runs.c.finished_at.is_not(None))
    return None if run is None else _drift_of(run_from_row(run))


def _drift_of(run: RunRecord) -> int | None:
    found = run.totals.get("credits", {}).get("drift")
    return found if isinstance(found, int) else None
