"""An API key held for the length of a run."""

from __future__ import annotations

import math
import os
import socket
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TypeVar

from stemline.errors import LeaseHeld
from stemline.ledger import LEASE_SECONDS, Ledger

T = TypeVar("T")

PATIENCE = 600.0
"""How long a run waits for another one to have rewritten the dataset's parts."""
KEY_PATIENCE = 600.0
"""How long a run waits for a backfill to collect what is ready, and let the API key go."""
KEY_SECONDS = 0.5
"""How often it asks for it."""
PARTS_SECONDS = 0.25
"""How often it looks."""


@contextmanager
def holding_key(ledger: Ledger, key_id: str, *, gives_way: bool = False) -> Iterator[int]:
    """Hold the API key; take it over at once from a process of this machine that is dead.

    Who `gives_way` waits for it as long as need be, and lets it go when it is wanted. Others are waited for by nobody
    but a holder who gives way, KEY_PATIENCE at most: raises LeaseHeld.
    """
    end = math.inf if gives_way else time.monotonic() + KEY_PATIENCE
    while True:
        free_keys_of_the_dead(ledger)
        try:
            fence = ledger.leases.acquire(key_id, holder_name(), LEASE_SECONDS, gives_way=gives_way)
            break
        except LeaseHeld:
            if time.monotonic() >= end or not (gives_way or ledger.leases.want(key_id)):
                raise
        time.sleep(KEY_SECONDS)
    try:
        yield fence
    finally:
        ledger.leases.release(key_id, fence)


@contextmanager
def holding_parts(
    ledger: Ledger, dataset_id: str, patience: float = PATIENCE
) -> Iterator[Callable[[], None]]:
    """Be the only run of this ledger that rewrites parts of a dataset; give what proves it, and holds on.

    Raises LeaseHeld where another one has not let go after `patience` seconds.
    """
    key = f"dataset:{dataset_id}"
    fence = _take_parts(ledger, key, patience)
    try:
        yield lambda: _hold_on(ledger, key, fence)
    finally:
        ledger.leases.release(key, fence)


def _take_parts(ledger: Ledger, key: str, patience: float) -> int:
    def take() -> int:
        free_keys_of_the_dead(ledger)
        try:
            return ledger.leases.acquire(key, holder_name(), LEASE_SECONDS)
        except LeaseHeld as error:
            raise LeaseHeld(
                "Another run is rewriting parts of the dataset.", fix="Run again when it is done."
            ) from error

    return patiently(take, patience)


def patiently(take: Callable[[], T], patience: float) -> T:
    """Take something that another one may hold, again and again; raises LeaseHeld after `patience` seconds."""
    end = time.monotonic() + patience
    while True:
        try:
            return take()
        except LeaseHeld:
            if time.monotonic() >= end:
                raise
        time.sleep(PARTS_SECONDS)


def _hold_on(ledger: Ledger, key: str, fence: int) -> None:
    ledger.leases.renew(key, fence, LEASE_SECONDS)


def is_held(ledger: Ledger, key_id: str) -> bool:
    """Tell whether somebody who may be alive holds the API key."""
    held = [lease for lease in ledger.leases.held() if lease.key_id == key_id]
    return any(not is_dead(lease.holder) for lease in held)


def free_keys_of_the_dead(ledger: Ledger) -> None:
    """Let go what processes of this machine hold that are dead: what they were at is free to be gone on with."""
    for lease in ledger.leases.held():
        if is_dead(lease.holder):
            ledger.leases.release(lease.key_id, lease.fence)


def holder_name() -> str:
    """Give the name under which this process holds something."""
    return f"{socket.gethostname()}:{os.getpid()}"


def is_dead(holder: str) -> bool:
    """Tell whether a holder is a process of this machine that is gone."""
    host, _, pid = holder.rpartition(":")
    if host != socket.gethostname() or not pid.isdigit():
        return False
    try:
        os.kill(int(pid), 0)
    except ProcessLookupError:
        return True
    except PermissionError:
        return False
    return _has_ended(pid)


def _has_ended(pid: str) -> bool:
    """Tell whether only the name of a process is left: in many containers nobody asks what it ended with."""
    try:
        # Behind the name, which may hold anything: https://man7.org/linux/man-pages/man5/proc_pid_stat.5.html
        return Path(f"/proc/{pid}/stat").read_bytes().rpartition(b")")[2].split()[0] == b"Z"
    except OSError:  # a system without this file
        return False
