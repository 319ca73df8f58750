"""Leases: one dispatcher per API key, and a fence number that tells a stale holder from the present one."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import select

from stemline.errors import LeaseHeld
from stemline.ledger.attempt import require_fence
from stemline.ledger.batch import Batches
from stemline.ledger.schema import leases
from stemline.ledger.transition import Change, write_event

LEASE_SECONDS = 60.0
"""How long a lease lasts that its holder does not renew."""


@dataclass(frozen=True, slots=True)
class Lease:
    """Who holds an API key's lease, and until when."""

    key_id: str
    holder: str
    fence: int
    expires_at: datetime


class Leases(Batches):
    """The verbs of a lease."""

    def acquire_lease(self, key_id: str, holder: str, ttl_seconds: float) -> int:
        """Take the lease on a key and give its fence, higher than any before.

        The same holder may take it again. Raises LeaseHeld, naming the holder and when the lease runs out,
        while somebody else has it.
        """
        now = self.clock()
        expires_at = now + timedelta(seconds=ttl_seconds)
        mine = leases.c.key_id == key_id
        with self.write() as connection:
            lease = connection.execute(select(leases).where(mine)).mappings().one_or_none()
            if lease is not None and lease["expires_at"] > now and lease["holder"] != holder:
                until = f"{lease['expires_at']:%Y-%m-%d %H:%M:%S} UTC"
                raise LeaseHeld(
                    f"{lease['holder']} works with this API key until {until}.",
                    fix="Wait for it to end; a run that died frees the key at that time.",
                )
            fence = 1 if lease is None else int(lease["fence"]) + 1
            if lease is None:
                first = {"key_id": key_id, "holder": holder, "fence": fence, "expires_at": expires_at}
                connection.execute(leases.insert(), [first])
            else:
                connection.execute(
                    leases.update().where(mine).values(holder=holder, fence=fence, expires_at=expires_at)
                )
            detail = {"key_id": key_id, "holder": holder, "fence": fence}
            write_event(connection, now, {}, Change("acquire_lease", detail=detail))
        return fence

    def renew_lease(self, key_id: str, fence: int, ttl_seconds: float) -> datetime:
        """Extend a lease and give its new end; raises LeaseHeld when somebody else took it meanwhile."""
        expires_at = self.clock() + timedelta(seconds=ttl_seconds)
        with self.write() as connection:
            require_fence(connection, key_id, fence)
            connection.execute(leases.update().where(leases.c.key_id == key_id).values(expires_at=expires_at))
        return expires_at

    def release_lease(self, key_id: str, fence: int) -> None:
        """Let a lease go at once; a lease that somebody else took meanwhile is left alone."""
        now = self.clock()
        mine = (leases.c.key_id == key_id, leases.c.fence == fence)
        with self.write() as connection:
            if connection.execute(leases.update().where(*mine).values(expires_at=now)).rowcount:
                detail = {"key_id": key_id, "fence": fence}
                write_event(connection, now, {}, Change("release_lease", detail=detail))

    def lease(self, key_id: str) -> Lease | None:
        """Give the lease on a key, even one that ran out; None when there never was one."""
        with self.read() as connection:
            row = connection.execute(select(leases).where(leases.c.key_id == key_id)).mappings().one_or_none()
        return None if row is None else Lease(**row)
