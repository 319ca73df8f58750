"""An API key held for the length of a run."""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager

from stemline.ledger import LEASE_SECONDS, Ledger


@contextmanager
def holding_key(ledger: Ledger, key_id: str) -> Iterator[int]:
    """Hold the API key; take it over at once from a process of this machine that is dead."""
    holder = f"{socket.gethostname()}:{os.getpid()}"
    free_keys_of_the_dead(ledger)
    fence = ledger.leases.acquire(key_id, holder, LEASE_SECONDS)
    try:
        yield fence
    finally:
        ledger.leases.release(key_id, fence)


def is_held(ledger: Ledger, key_id: str) -> bool:
    """Tell whether somebody who may be alive holds the API key."""
    held = [lease for lease in ledger.leases.held() if lease.key_id == key_id]
    return any(not _is_dead(lease.holder) for lease in held)


def free_keys_of_the_dead(ledger: Ledger) -> None:
    """Let go what processes of this machine hold that are dead: what they were at is free to be gone on with."""
    for lease in ledger.leases.held():
        if _is_dead(lease.holder):
            ledger.leases.release(lease.key_id, lease.fence)


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
