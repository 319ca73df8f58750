"""The inbox: what webhooks said, kept before the provider is answered, read by whoever dispatches."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

from sqlalchemy import Connection, RowMapping, select

from stemline.ledger.database import LedgerDatabase
from stemline.ledger.repetition import repeating_verbs
from stemline.ledger.row_mapping import dump_job, job_from_row
from stemline.ledger.tables import Cells, attempts, inbox
from stemline.ledger.transition import LedgerEvent, write_event
from stemline.records import Event, Phase


@dataclass(frozen=True, slots=True)
class ReceivedEvent:
    """An event from the inbox; its job is without links, they expire."""

    number: int
    """Numbers grow in the order of arrival."""
    event: Event


@repeating_verbs
class Inbox:
    """The webhook events that arrived, each kept once."""

    def __init__(self, database: LedgerDatabase) -> None:
        self._database = database

    def receive(self, provider: str, event: Event) -> bool:
        """Keep an event and give whether it is news.

        A second one about the same job and phase is none, whatever else it says: providers repeat themselves, and
        a delivery that somebody recorded can be played again. A job that the ledger does not know is kept all the same:
        the event may be faster than the answer to the submit.
        """
        now = self._database.clock()
        same = (inbox.c.provider == provider, inbox.c.job_id == event.job_id, inbox.c.phase == event.phase)
        with self._database.write() as connection:
            if connection.execute(select(inbox.c.number).where(*same)).first() is not None:
                return False
            cells = {
                "provider": provider,
                "job_id": event.job_id,
                "phase": event.phase,
                "occurred_at": event.occurred_at,
                "received_at": now,
                "digest": event.digest,
                "job": None if event.job is None else dump_job(event.job),
            }
            connection.execute(inbox.insert(), [cells])
            detail = {"provider": provider, "job_id": event.job_id, "phase": str(event.phase)}
            subject = _find_subject(connection, provider, event.job_id)
            write_event(connection, now, subject, LedgerEvent("receive_event", detail=detail))
        return True

    def events_of(self, provider: str, job_ids: Collection[str]) -> list[ReceivedEvent]:
        """Give what has arrived about these jobs (at most 10,000), in the order of arrival."""
        query = (
            select(inbox)
            .where(inbox.c.provider == provider, inbox.c.job_id.in_(list(job_ids)))
            .order_by(inbox.c.number)
        )
        with self._database.read() as connection:
            return [_from_row(row) for row in connection.execute(query).mappings()]


def _find_subject(connection: Connection, provider: str, job_id: str) -> Cells | RowMapping:
    """Give the attempt that an event is about, for the history; empty for a job we do not know."""
    query = select(attempts).where(attempts.c.provider == provider, attempts.c.job_id == job_id)
    return connection.execute(query).mappings().one_or_none() or {}


def _from_row(row: RowMapping) -> ReceivedEvent:
    event = Event(
        job_id=row["job_id"],
        phase=Phase(row["phase"]),
        occurred_at=row["occurred_at"],
        digest=row["digest"],
        job=job_from_row(row) if row["job"] else None,
    )
    return ReceivedEvent(row["number"], event)
