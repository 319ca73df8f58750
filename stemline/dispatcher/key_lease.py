"""The lease on an API key, as the dispatcher holds it that works with the key: nothing is sent past its end."""

from __future__ import annotations

from dataclasses import dataclass

from stemline.client import Access
from stemline.clock import loop_time
from stemline.errors import LeaseHeld
from stemline.ledger import LEASE_SECONDS, Ledger


@dataclass(frozen=True, slots=True)
class LeasedKey:
    """An API key whose lease this run holds."""

    access: Access
    key_id: str
    """Its fingerprint: the key itself goes nowhere."""
    fence: int


class KeyLease:
    """One key's lease, renewed by whoever is about to need it."""

    def __init__(self, ledger: Ledger, key: LeasedKey) -> None:
        """Take it for about to end."""
        self._ledger, self._key = ledger, key
        self._until = 0.0
        """How long it lasts at least, on the monotonic clock."""

    def renew(self) -> None:
        """Extend it; raises LeaseHeld when it is lost."""
        now = loop_time()
        self._ledger.leases.renew(self._key.key_id, self._key.fence, LEASE_SECONDS)
        self._until = now + LEASE_SECONDS

    def hold(self) -> None:
        """Renew it unless it lasts for a while; raises LeaseHeld when it is lost."""
        if loop_time() > self._until - LEASE_SECONDS / 2:
            self.renew()

    def require(self) -> None:
        """Make sure that it lasts at this moment; raises LeaseHeld where not: nothing may leave then."""
        self.hold()
        if loop_time() >= self._until:
            raise LeaseHeld("The lease on this API key has run out.", fix="Run again: it goes on from here.")
