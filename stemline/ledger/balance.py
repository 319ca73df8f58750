"""Balances as proof: what the provider's account lost says whether a submit without an answer was charged."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, Connection, and_, func, or_, select

from stemline.ledger.cell import load_cells
from stemline.ledger.database import LedgerDatabase
from stemline.ledger.repetition import repeating_verbs
from stemline.ledger.tables import Cells, attempts, entries, events
from stemline.ledger.transition import find_attempt
from stemline.records import State


@dataclass(frozen=True, slots=True)
class BalanceReading:
    """A balance, and when it was asked for."""

    credits: int
    at: datetime

    def as_tree(self) -> dict[str, Any]:
        """Give what an event keeps of it."""
        return {"balance": self.credits, "balance_at": self.at.isoformat()}


@repeating_verbs
class Balances:
    """What the balances read before and after a submit prove."""

    def __init__(self, database: LedgerDatabase) -> None:
        self._database = database

    def prove_absence(self, token: str, now: BalanceReading) -> bool:
        """Tell whether an unknown submit was never charged: since before it, the account lost what others cost.

        That proves something only where nothing else of the same API key could have moved the balance: nothing is
        under way, no job failed (which may be refunded), and no charge is of a job from before the first reading.
        """
        with self._database.read() as connection:
            row = find_attempt(connection, token)
            before = _reading_before(connection, row)
            if before is None or _has_doubt(connection, row, before.at):
                return False
            return before.credits - now.credits == _charged_since(connection, row, before.at)


def _reading_before(connection: Connection, row: Cells) -> BalanceReading | None:
    """Give the balance last read before an attempt's request left; None where none was kept."""
    query = (
        select(events.c.detail)
        .where(events.c.track_id == row["track_id"], events.c.token == row["token"])
        .where(events.c.verb == "mark_sending", events.c.detail.is_not(None))
        .order_by(events.c.event_id)
        .limit(1)
    )
    detail = load_cells(connection.execute(query).scalar_one_or_none() or "{}")
    if "balance" not in detail:
        return None
    return BalanceReading(int(detail["balance"]), datetime.fromisoformat(str(detail["balance_at"])))


def _has_doubt(connection: Connection, row: Cells, since: datetime) -> bool:
    """Tell whether anything else of this key may have moved the balance in a way that the ledger cannot tell."""
    doubtful = or_(
        attempts.c.state.in_([State.SUBMITTING, State.PROCESSING]),
        and_(attempts.c.state == State.UNKNOWN, attempts.c.reserved_at < since),
        and_(
            attempts.c.state == State.FAILED, attempts.c.sent_at.is_not(None), attempts.c.updated_at >= since
        ),
    )
    mine = _same_key(row)
    under_way = select(attempts.c.token).where(mine, attempts.c.token != row["token"], doubtful).limit(1)
    older = _charges(row, since).where(attempts.c.reserved_at < since).limit(1)
    return connection.execute(under_way).first() is not None or connection.execute(older).first() is not None


def _charged_since(connection: Connection, row: Cells, since: datetime) -> int:
    charges = _charges(row, since).subquery()
    return int(connection.execute(select(func.coalesce(func.sum(charges.c.amount), 0))).scalar_one())


def _charges(row: Cells, since: datetime) -> Any:  # noqa: ANN401 - a select of two tables
    return (
        select(entries.c.amount)
        .join(attempts, attempts.c.token == entries.c.token)
        .where(entries.c.provider == row["provider"], entries.c.kind == "charge", entries.c.at >= since)
        .where(_same_key(row))
    )


def _same_key(row: Cells) -> ColumnElement[bool]:
    return and_(attempts.c.provider == row["provider"], attempts.c.key_id == row["key_id"])
