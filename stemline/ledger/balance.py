"""Balances as proof: what the provider's account lost says whether a submit without an answer was charged."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import ColumnElement, Connection, and_, func, not_, or_, select

from stemline.ledger.cell import load_cells
from stemline.ledger.database import LedgerDatabase
from stemline.ledger.repetition import repeating_verbs
from stemline.ledger.tables import Cells, attempts, entries, events, leases
from stemline.ledger.transition import find_attempt
from stemline.records import Code, State

FAR_APART = timedelta(days=1)
UNDER_WAY = (State.SUBMITTING, State.PROCESSING)
CHARGE_TOLD = '"credits_charged":'
"""How a job is kept in which the provider said what it charged."""


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

        That proves something only where nothing else could have moved the balance: with no key of the provider's
        (keys may share an account) anything is under way or has failed, which may be refunded; with this one no
        charge is of a job from before the first reading, or was not told by the provider itself. Nor do readings
        that lie far apart: people and plans fill accounts up.
        """
        with self._database.read() as connection:
            row = find_attempt(connection, token)
            before = _reading_before(connection, row)
            if before is None or now.at - before.at > FAR_APART or _has_doubt(connection, row, before.at):
                return False
            return before.credits - now.credits == _charged_since(connection, row, before.at)

    def is_moving(self, provider: str, key_id: str) -> bool:
        """Tell whether a run that lives has submits or jobs under way with another key of the provider than this.

        What is late counts for nothing: nobody waits for it.
        """
        with self._database.read() as connection:
            held = select(leases.c.key_id).where(leases.c.expires_at > self._database.shared_now(connection))
            query = select(attempts.c.token).where(
                attempts.c.provider == provider,
                attempts.c.state.in_(UNDER_WAY),
                attempts.c.code != Code.JOB_LATE,
                attempts.c.key_id != key_id,
                attempts.c.key_id.in_(held),
            )
            return connection.execute(query.limit(1)).first() is not None

    def felt_before(self, provider: str) -> int:
        """Give the credits that are reserved for what a balance has felt long ago, if ever.

        They are those of submits whose outcome is unknown, of failed jobs in dispute, of jobs that are late, and of
        whatever was left with a key that no run holds.
        """
        query = select(func.coalesce(func.sum(attempts.c.credits_reserved), 0))
        with self._database.read() as connection:
            held = select(leases.c.key_id).where(leases.c.expires_at > self._database.shared_now(connection))
            is_left = or_(attempts.c.code == Code.JOB_LATE, attempts.c.key_id.not_in(held))
            is_old = or_(
                attempts.c.state == State.UNKNOWN,
                attempts.c.is_disputed,
                and_(attempts.c.state.in_(UNDER_WAY), is_left),
            )
            query = query.where(attempts.c.provider == provider, is_old)
            return int(connection.execute(query).scalar_one())


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
    """Tell whether anything else may have moved the balance in a way that the ledger cannot tell."""
    doubtful = or_(
        attempts.c.state.in_(UNDER_WAY),
        and_(attempts.c.state == State.UNKNOWN, attempts.c.reserved_at < since),
        and_(
            attempts.c.state == State.FAILED,
            attempts.c.sent_at.is_not(None),
            or_(attempts.c.updated_at >= since, attempts.c.is_disputed),
        ),
    )
    others = (attempts.c.provider == row["provider"], attempts.c.token != row["token"])
    under_way = select(attempts.c.token).where(*others, doubtful).limit(1)
    is_guess = not_(func.coalesce(attempts.c.job, "").contains(CHARGE_TOLD, autoescape=True))
    untold = _charges(row, since).where(or_(attempts.c.reserved_at < since, is_guess)).limit(1)
    return connection.execute(under_way).first() is not None or connection.execute(untold).first() is not None


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
