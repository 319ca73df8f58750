"""Leases: one dispatcher per API key, and a fence number that tells a stale holder from the present one.

They are dated by the clock that all holders share, the database's: a host whose own is wrong takes no key too early.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import Connection, RowMapping, select

from stemline.errors import LeaseHeld
from stemline.ledger.database import LedgerDatabase
from stemline.ledger.repetition import repeating_verbs
from stemline.ledger.tables import leases
from stemline.ledger.transition import LedgerEvent, write_event

LEASE_SECONDS = 60.0
"""How long a lease lasts that its holder does not renew."""

WANTED_SECONDS = 15.0
"""How long a lease is kept for who wants it, and asks no more."""
NOBODY = ""
"""The holder of a lease that was let go: its fence is good for nothing any more."""


@dataclass(frozen=True, slots=True)
class Lease:
    """Who holds an API key's lease, and until when."""

    key_id: str
    holder: str
    fence: int
    expires_at: datetime
    gives_way: bool | None = None
    """Whether its holder lets it go when somebody who does not give way wants it."""
    wanted_until: datetime | None = None
    """Until when it is kept for somebody who asked for it."""


@repeating_verbs
class Leases:
    """The leases on API keys, each with one holder at a time."""

    def __init__(self, database: LedgerDatabase) -> None:
        self._database = database

    def acquire(self, key_id: str, holder: str, ttl_seconds: float, *, gives_way: bool = False) -> int:
        """Take the lease on a key and give its fence, higher than any before.

        The same holder may take it again. Raises LeaseHeld, naming the holder and when the lease runs out,
        while somebody else has it; who `gives_way` gets none that somebody else wants.
        """
        mine = leases.c.key_id == key_id
        with self._database.write() as connection:
            now = self._database.shared_now(connection)
            lease = connection.execute(select(leases).where(mine)).mappings().one_or_none()
            if lease is not None:
                _require_free(lease, holder, now, gives_way=gives_way)
            fence = 1 if lease is None else int(lease["fence"]) + 1
            taken = {
                "holder": holder,
                "fence": fence,
                "expires_at": now + timedelta(seconds=ttl_seconds),
                "gives_way": gives_way,
                "wanted_until": None,
            }
            if lease is None:
                connection.execute(leases.insert(), [{"key_id": key_id, **taken}])
            else:
                connection.execute(leases.update().where(mine).values(**taken))
            detail = {"key_id": key_id, "holder": holder, "fence": fence}
            write_event(connection, now, {}, LedgerEvent("acquire_lease", detail=detail))
        return fence

    def want(self, key_id: str) -> bool:
        """Ask who holds a key's lease to let it go, for WANTED_SECONDS; tell whether that is somebody who gives way."""
        mine = (leases.c.key_id == key_id, leases.c.gives_way)
        with self._database.write() as connection:
            until = self._database.shared_now(connection) + timedelta(seconds=WANTED_SECONDS)
            asked = leases.update().where(*mine).values(wanted_until=until)
            return bool(connection.execute(asked).rowcount)

    def is_wanted(self, key_ids: Collection[str]) -> bool:
        """Tell whether somebody waits for one of these keys."""
        with self._database.read() as connection:
            now = self._database.shared_now(connection)
            wanted = (leases.c.key_id.in_(list(key_ids)), leases.c.wanted_until > now)
            return connection.execute(select(leases.c.key_id).where(*wanted)).first() is not None

    def renew(self, key_id: str, fence: int, ttl_seconds: float) -> datetime:
        """Extend a lease and give its new end; raises LeaseHeld when somebody else took it meanwhile."""
        with self._database.write() as connection:
            expires_at = self._database.shared_now(connection) + timedelta(seconds=ttl_seconds)
            require_fence(connection, key_id, fence)
            connection.execute(leases.update().where(leases.c.key_id == key_id).values(expires_at=expires_at))
        return expires_at

    def release(self, key_id: str, fence: int) -> None:
        """Let a lease go at once; a lease that somebody else took meanwhile is left alone."""
        mine = (leases.c.key_id == key_id, leases.c.fence == fence)
        with self._database.write() as connection:
            now = self._database.shared_now(connection)
            let_go = leases.update().where(*mine).values(expires_at=now, holder=NOBODY)
            if connection.execute(let_go).rowcount:
                detail = {"key_id": key_id, "fence": fence}
                write_event(connection, now, {}, LedgerEvent("release_lease", detail=detail))

    def get(self, key_id: str) -> Lease | None:
        """Give the lease on a key, even one that ran out; None when there never was one."""
        with self._database.read() as connection:
            row = connection.execute(select(leases).where(leases.c.key_id == key_id)).mappings().one_or_none()
        return None if row is None else Lease(**row)

    def held(self) -> list[Lease]:
        """Give the leases that have not run out, by the clock that all their holders share."""
        with self._database.read() as connection:
            now = self._database.shared_now(connection)
            query = select(leases).where(leases.c.expires_at > now).order_by(leases.c.key_id)
            return [Lease(**row) for row in connection.execute(query).mappings()]


def _require_free(lease: RowMapping, holder: str, now: datetime, *, gives_way: bool) -> None:
    """Raise LeaseHeld for a lease that is not to be had."""
    # What was let go is free, also by a clock that is behind that of who had it.
    if lease["expires_at"] > now and lease["holder"] not in (holder, NOBODY):
        raise LeaseHeld(
            f"{lease['holder']} works with this API key until {lease['expires_at']:%Y-%m-%d %H:%M:%S} UTC.",
            fix="Wait for it to end; a run that died frees the key at that time.",
        )
    if gives_way and lease["wanted_until"] is not None and lease["wanted_until"] > now:
        raise LeaseHeld("A run that goes first wants this API key.", fix="Wait for it to end.")


def require_fence(connection: Connection, key_id: str | None, fence: int) -> datetime:
    """Give the end of a lease that still carries this fence; raises LeaseHeld when it was let go or taken."""
    lease = connection.execute(select(leases).where(leases.c.key_id == key_id)).mappings().one_or_none()
    if lease is None or lease["fence"] != fence or lease["holder"] == NOBODY:
        holder = (lease["holder"] if lease else NOBODY) or "nobody"
        message = f"The lease on this API key is lost: {holder} holds it now."
        raise LeaseHeld(message, fix="Wait for that run to end, then run again.")
    ends_at: datetime = lease["expires_at"]
    return ends_at


def require_lease(connection: Connection, key_id: str | None, fence: int, now: datetime) -> None:
    """Raise LeaseHeld unless the key's lease carries this fence and lasts: a request is not sent past its end."""
    if require_fence(connection, key_id, fence) <= now:
        raise LeaseHeld("The lease on this API key has run out.", fix="Run again: it goes on from here.")
