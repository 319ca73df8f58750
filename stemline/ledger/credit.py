"""Credit entries: append-only bookings, and the running totals per window that limits are checked against.

An attempt's credits count in the UTC day and month its reservation was made in, whenever they are charged.
Totals are derived: they always equal the sums of the entries. The functions book inside the transaction of the verb
that calls them.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, func, select

from stemline.budget import Limits, Spending, Spent, windows
from stemline.ledger.charge_totals import add_charges, charged_since
from stemline.ledger.database import LedgerDatabase
from stemline.ledger.repetition import repeating_verbs
from stemline.ledger.run import find_run
from stemline.ledger.tables import Cells, attempts, entries, runs, totals
from stemline.ledger.transition import LedgerEvent, write_event
from stemline.records import ROUNDED_SECONDS, Submission

EVERYTHING = "all"


@repeating_verbs
class Credits:
    """What was spent, and the credits in dispute: those of failed jobs whose charge no provider has told."""

    def __init__(self, database: LedgerDatabase) -> None:
        self._database = database

    def spending(self, run_id: str, limits: Limits | None = None) -> Spending:
        """Give what is reserved and charged for the run, and for its provider's present day and month."""
        now = self._database.clock()
        with self._database.read() as connection:
            return read_spending(connection, find_run(connection, run_id), now, limits or Limits())

    def spending_of(self, provider: str, backfill: str) -> Spending:
        """Give what is reserved and charged in a provider's present day and month, and of a backfill."""
        run = {"run_id": "", "provider": provider, "backfill": backfill}
        with self._database.read() as connection:
            return read_spending(connection, run, self._database.clock(), Limits())

    def charged_for_earlier(self, run_id: str, key_ids: Collection[str]) -> int:
        """Give what was charged since the run began for what earlier runs had submitted with these, its API keys."""
        with self._database.read() as connection:
            run = find_run(connection, run_id)
            query = (
                select(func.coalesce(func.sum(entries.c.amount), 0))
                .select_from(entries.join(attempts, attempts.c.token == entries.c.token))
                .where(entries.c.provider == run["provider"], entries.c.kind == "charge")
                .where(entries.c.at >= run["started_at"], entries.c.run_id != run_id)
                .where(attempts.c.key_id.in_(list(key_ids)))
            )
            return int(connection.execute(query).scalar_one())

    def disputed(self, provider: str) -> dict[str, int]:
        """Give the credits still disputed, by run."""
        query = (
            select(attempts.c.run_id, func.sum(attempts.c.credits_reserved))
            .where(attempts.c.provider == provider, attempts.c.is_disputed)
            .group_by(attempts.c.run_id)
        )
        with self._database.read() as connection:
            return {run_id: int(amount) for run_id, amount in connection.execute(query)}

    def release_disputed(self, run_id: str) -> int:
        """Give back the credits of the run's failed jobs (a later balance shows no charge); give how many."""
        return self._settle_disputed(run_id, is_charged=False)

    def charge_disputed(self, run_id: str) -> int:
        """Book the credits of the run's failed jobs as charged (a later balance shows it); give how many."""
        return self._settle_disputed(run_id, is_charged=True)

    def _settle_disputed(self, run_id: str, *, is_charged: bool) -> int:
        now, amount = self._database.clock(), 0
        query = select(attempts).where(attempts.c.run_id == run_id, attempts.c.is_disputed)
        with self._database.write() as connection:
            for row in connection.execute(query).mappings().all():
                token = row["token"]
                settled = (
                    settle(connection, now, token, None) if is_charged else release(connection, now, token)
                )
                values = {"is_disputed": False, "credits_charged": settled if is_charged else 0}
                connection.execute(attempts.update().where(attempts.c.token == token).values(**values))
                verb = "charge_disputed" if is_charged else "release_disputed"
                write_event(
                    connection, now, row, LedgerEvent(verb, row["state"], row["state"], {"credits": settled})
                )
                amount += settled
        return amount


def read_spending(connection: Connection, run: Cells, now: datetime, limits: Limits) -> Spending:
    """Give what the provider's windows hold at `now`."""
    window = windows(now)
    names = {"run": f"run:{run['run_id']}", "day": f"day:{window.day}", "month": f"month:{window.month}"}
    if run["backfill"] is not None:
        names["backfill"] = f"backfill:{run['backfill']}"
        names["backfill_day"] = f"backfill:{run['backfill']}:{window.day}"
    found = _read_totals(connection, run["provider"], [*names.values(), EVERYTHING])
    spent = {name: found.get(key, Spent()) for name, key in names.items()}
    not_in_balance = found.get(EVERYTHING, Spent()).reserved
    if limits.balance_at is not None:
        not_in_balance += charged_since(connection, run["provider"], limits.balance_at)
    return Spending(**spent, not_in_balance=not_in_balance)


def reserve(connection: Connection, now: datetime, attempt: Cells, amount: int) -> None:
    """Book a reservation in the windows of `now`."""
    window = windows(now)
    names = ("token", "run_id", "provider")
    owner = {**{name: attempt[name] for name in names}, "day": window.day, "month": window.month}
    owner["backfill"] = find_run(connection, attempt["run_id"])["backfill"]
    found = _read_totals(connection, owner["provider"], _windows_of(owner))
    missing = [name for name in _windows_of(owner) if name not in found]
    if missing:
        empty = [
            {"provider": owner["provider"], "period": name, "reserved": 0, "charged": 0} for name in missing
        ]
        connection.execute(totals.insert(), empty)
    _book(connection, now, owner, {"reserve": amount})


def asked_for(reserved: int, submission: Submission) -> int:
    """Give the credits an attempt will cost: as its provider says, else a credit for each second of audio it found.

    A length that differs by its rounding alone says nothing.
    """
    if submission.credits_required is not None:
        return submission.credits_required
    found = math.ceil(submission.duration_seconds or 0)
    return found if found and abs(found - reserved) > ROUNDED_SECONDS else reserved


def adjust(connection: Connection, now: datetime, token: str, amount: int) -> None:
    """Correct an open reservation to what the provider says it will charge."""
    difference = amount - open_credits(connection, token)
    if difference:
        _book(connection, now, _owner(connection, token), {"adjust": difference})


def release(connection: Connection, now: datetime, token: str) -> int:
    """Give back what is still reserved, and say how much that was."""
    if not is_open(connection, token):
        return 0
    amount = open_credits(connection, token)
    _book(connection, now, _owner(connection, token), {"release": -amount})
    return amount


def settle(connection: Connection, now: datetime, token: str, charged: int | None) -> int:
    """Replace the reservation by the charge (None: what was reserved), and give the credits charged.

    Of a job that was lost for a while both may be booked already: it is charged once, whatever became of it meanwhile.
    """
    booked = _booked(connection, token)
    if "charge" in booked:
        return booked["charge"]
    reserved = booked["reserve"] + booked.get("adjust", 0)
    final = reserved if charged is None else charged
    released = {} if "release" in booked else {"release": -reserved}
    _book(connection, now, _owner(connection, token), {**released, "charge": final})
    return final


def is_open(connection: Connection, token: str) -> bool:
    """Tell whether an attempt's credits are reserved still: neither given back nor charged."""
    return "release" not in _booked(connection, token)


def _booked(connection: Connection, token: str) -> dict[str, int]:
    """Give an attempt's entries by kind; there is at most one of each."""
    query = select(entries.c.kind, entries.c.amount).where(entries.c.token == token)
    return {kind: int(amount) for kind, amount in connection.execute(query)}


def open_credits(connection: Connection, token: str) -> int:
    """Give the credits an attempt still has reserved."""
    query = select(func.coalesce(func.sum(entries.c.amount), 0)).where(
        entries.c.token == token, entries.c.kind != "charge"
    )
    return int(connection.execute(query).scalar_one())


def _owner(connection: Connection, token: str) -> dict[str, Any]:
    names = ("token", "run_id", "provider", "day", "month")
    query = (
        select(*(entries.c[name] for name in names), runs.c.backfill)
        .select_from(entries.join(runs, runs.c.run_id == entries.c.run_id))
        .where(entries.c.token == token, entries.c.kind == "reserve")
    )
    return dict(connection.execute(query).mappings().one())


def _windows_of(owner: Mapping[str, Any]) -> list[str]:
    """Give the windows a booking counts in; a run that is part of a backfill counts in its two as well."""
    found = [f"run:{owner['run_id']}", f"day:{owner['day']}", f"month:{owner['month']}", EVERYTHING]
    if (backfill := owner.get("backfill")) is not None:
        found += [f"backfill:{backfill}", f"backfill:{backfill}:{owner['day']}"]
    return found


def _book(
    connection: Connection, now: datetime, owner: Mapping[str, Any], amounts: Mapping[str, int]
) -> None:
    fixed = {name: owner[name] for name in ("token", "run_id", "provider", "day", "month")}
    rows = [{**fixed, "at": now, "kind": kind, "amount": amount} for kind, amount in amounts.items()]
    connection.execute(entries.insert(), rows)
    charged = amounts.get("charge", 0)
    add_charges(connection, [(owner["provider"], now, charged)])
    reserved = sum(amounts.values()) - charged
    connection.execute(
        totals.update()
        .where(totals.c.provider == owner["provider"], totals.c.period.in_(_windows_of(owner)))
        .values(reserved=totals.c.reserved + reserved, charged=totals.c.charged + charged)
    )


def _read_totals(connection: Connection, provider: str, names: list[str]) -> dict[str, Spent]:
    query = select(totals).where(totals.c.provider == provider, totals.c.period.in_(names))
    return {row.period: Spent(row.reserved, row.charged) for row in connection.execute(query)}


def book_adopted(connection: Connection, attempts_charged: Sequence[Cells]) -> None:
    """Book charges that another ledger had booked, each in the UTC day and month its stems were collected in.

    The day its reservation was made, in which it counted there, is in no table.
    """
    rows, sums = [], Counter[tuple[str, str]]()
    for attempt in attempts_charged:
        at, charged = attempt["reserved_at"], attempt["charged"]
        window = windows(at)
        owner = {name: attempt[name] for name in ("token", "run_id", "provider")}
        owner |= {"day": window.day, "month": window.month}
        amounts = {"reserve": charged, "release": -charged, "charge": charged}
        rows += [{**owner, "at": at, "kind": kind, "amount": amount} for kind, amount in amounts.items()]
        sums.update({(owner["provider"], period): charged for period in _windows_of(owner)})
    connection.execute(entries.insert(), rows)
    booked = [
        (attempt["provider"], attempt["reserved_at"], attempt["charged"]) for attempt in attempts_charged
    ]
    add_charges(connection, booked)
    for (provider, period), charged in sums.items():
        one = (totals.c.provider == provider, totals.c.period == period)
        added = totals.update().where(*one).values(charged=totals.c.charged + charged)
        if not connection.execute(added).rowcount:
            row = {"provider": provider, "period": period, "reserved": 0, "charged": charged}
            connection.execute(totals.insert(), [row])


def charge_adopted(connection: Connection, now: datetime, token: str, charged: int, *, is_open: bool) -> None:
    """Book the charge of an attempt whose reservation is still open here, or was given back already."""
    if is_open:
        settle(connection, now, token, charged)
    else:
        _book(connection, now, _owner(connection, token), {"charge": charged})
