"""The inbox: what webhooks said, kept before the provider is answered, read by whoever dispatches."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from typing import Any

from sqlalchemy import ColumnElement, Connection, RowMapping, Select, select

from stemline.ledger.reading import Readings
from stemline.ledger.row import dump_job, job_from_row
from stemline.ledger.schema import Cells, attempts, inbox
from stemline.ledger.transition import Change, write_event
from stemline.records import Event, Phase


@dataclass(frozen=True, slots=True)
class Received:
    """An event from the inbox; its job is without links, they expire."""

    number: int
    """Numbers grow in the order of arrival: the last one seen is where to go on."""
    event: Event


class Inbox(Readings):
    """The verbs and reads of webhook events."""

    def receive_event(self, provider: str, event: Event) -> bool:
        """Keep an event and give whether it is news.

        A second one about the same job and phase is none, whatever else it says: providers repeat themselves, and
        a delivery that was overheard can be played again. A job that the ledger does not know is kept all the same:
        the event may be faster than the answer to the submit.
        """
        now = self.clock()
        same = (inbox.c.provider == provider, inbox.c.job_id == event.job_id, inbox.c.phase == event.phase)
        with self.write() as connection:
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
            write_event(connection, now, subject, Change("receive_event", detail=detail))
        return True

    def take_events(self, provider: str, after: int = 0, *, limit: int = 1_000) -> list[Received]:
        """Give the next events behind number `after`, in the order of arrival; the inbox keeps them."""
        query = _of(provider, inbox.c.number > after).order_by(inbox.c.number).limit(limit)
        return self._received(query)

    def events_of(self, provider: str, job_ids: Collection[str]) -> list[Received]:
        """Give what has arrived about these jobs (at most 10,000), in the order of arrival."""
        return self._received(_of(provider, inbox.c.job_id.in_(list(job_ids))).order_by(inbox.c.number))

    def _received(self, query: Select[tuple[Any, ...]]) -> list[Received]:
        with self.read() as connection:
            return [_from_row(row) for row in connection.execute(query).mappings()]


def _of(provider: str, chosen: ColumnElement[bool]) -> Select[tuple[Any, ...]]:
    return select(inbox).where(inbox.c.provider == provider, chosen)


def _find_subject(connection: Connection, provider: str, job_id: str) -> Cells | RowMapping:
    """Give the attempt that an event is about, for the history; empty for a job we do not know."""
    query = select(attempts).where(attempts.c.provider == provider, attempts.c.job_id == job_id)
    return connection.execute(query).mappings().one_or_none() or {}


def _from_row(row: RowMapping) -> Received:
    event = Event(
        job_id=row["job_id"],
        phase=Phase(row["phase"]),
        occurred_at=row["occurred_at"],
        digest=row["digest"],
        job=job_from_row(row) if row["job"] else None,
    )
    return Received(row["number"], event)
