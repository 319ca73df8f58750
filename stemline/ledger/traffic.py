"""Request traffic: what each run has sent with its API keys, told to whoever watches it from elsewhere."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from datetime import datetime, timedelta

from sqlalchemy import Connection, func, select

from stemline.ledger.database import LedgerDatabase
from stemline.ledger.repetition import repeating_verbs
from stemline.ledger.tables import request_traffic

FRESH = timedelta(seconds=60)
"""What was said longer ago tells nothing of the present minute."""


@dataclass(frozen=True, slots=True)
class TrafficReading:
    """Requests to the provider, uploads to its storage not counted."""

    sent: int = 0
    throttled: int = 0
    """Of these, how many were answered with 429."""
    sent_last_minute: int = 0
    granted_a_minute: int = 0
    """How many the provider lets us send, as its last answer said."""

    @property
    def utilization(self) -> float | None:
        """The share of what is granted that is used; None where nothing is known to be granted."""
        return self.sent_last_minute / self.granted_a_minute if self.granted_a_minute else None


@repeating_verbs
class RequestTraffic:
    """The traffic of runs, one row for each of a run's keys."""

    def __init__(self, database: LedgerDatabase) -> None:
        self._database = database

    def record(self, run_id: str, key_id: str, reading: TrafficReading) -> None:
        """Say what a run has sent with a key until now."""
        mine = (request_traffic.c.run_id == run_id, request_traffic.c.key_id == key_id)
        with self._database.write() as connection:
            values = {**asdict(reading), "at": self._database.shared_now(connection)}
            if not connection.execute(request_traffic.update().where(*mine).values(**values)).rowcount:
                row = {"run_id": run_id, "key_id": key_id, **values}
                connection.execute(request_traffic.insert(), [row])


def read_traffic(connection: Connection, run_id: str, now: datetime) -> TrafficReading:
    """Give what a run has sent with all of its keys; of the present minute, what was said within it."""
    columns = request_traffic.c
    mine = select(
        func.coalesce(func.sum(columns.sent), 0), func.coalesce(func.sum(columns.throttled), 0)
    ).where(columns.run_id == run_id)
    present = select(
        func.coalesce(func.sum(columns.sent_last_minute), 0),
        func.coalesce(func.sum(columns.granted_a_minute), 0),
    ).where(columns.run_id == run_id, columns.at > now - FRESH)
    found = (*connection.execute(mine).one(), *connection.execute(present).one())
    return TrafficReading(*map(int, found))
