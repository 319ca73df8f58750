"""The ledger: what names the tracks is emptied, what was paid for them stays."""

from __future__ import annotations

from dataclasses import dataclass

from stemline.forgetting.order import ForgetOrder
from stemline.forgetting.place import Finding
from stemline.ledger import Ledger


@dataclass(frozen=True, slots=True)
class LedgerPlace:
    """The rows of the ledger that name a track."""

    ledger: Ledger
    name: str = "ledger"

    def find(self, order: ForgetOrder) -> Finding:
        """Count them."""
        return Finding(rows=self.ledger.forgetting.count(order.track_ids))

    def empty(self, order: ForgetOrder) -> None:
        """Empty them, and what runs ended with where that names one."""
        self.ledger.forgetting.forget(order.tombstone, order.track_ids)
        self.ledger.forgetting.reword_runs(order.is_named_in)
