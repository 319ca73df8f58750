"""An API key held for the length of a run."""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager

from stemline.errors import LeaseHeld
from stemline.ledger import LEASE_SECONDS, Ledger


@contextmanager
def holding_key(ledger: Ledger, key_id: str) -> Iterator[int]:
    """Hold the API key; take it over at once from a process of this machine that is dead."""
    holder = f"{socket.gethostname()}:{os.getpid()}"
    try:
        fence = ledger.leases.acquire(key_id, holder, LEASE_SECONDS)
    except LeaseHeld:
        lease = ledger.leases.get(key_id)
        if lease is None or not _is_dead(lease.holder):
            raise
        ledger.leases.release(key_id, lease.fence)
        fence = ledger.leases.acquire(key_id, holder, LEASE_SECONDS)
    try:
        yield fence
    finally:
        ledger.leases.release(key_id, fence)


def is_held(ledger: Ledger, key_id: str) -> bool:
    """Tell whether somebody who may be alive holds the API key."""
    lease = ledger.leases.get(key_id)
    return lease is not None and lease.expires_at > ledger.clock() and not _is_dead(lease.holder)


def _is_dead(holder: str) -> bool:
    host, _, pid = holder.rpartition(":")
    if host != socket.gethostname() or not pid.isdigit():
        return False
    try:
        os.kill(int(pid), 0)
    except ProcessLookupError:
        return True
    except PermissionError:
        return False
    return False
