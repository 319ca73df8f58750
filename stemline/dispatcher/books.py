"""The books of a run, closed against the vendor's balance: what failed jobs cost, and what nobody can explain."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from stemline.dispatcher.state import Floor
from stemline.ledger import Ledger


@dataclass(frozen=True, slots=True)
class Books:
    """What the vendor's balance said at the end of a run; None where it was not read."""

    balance: int | None = None
    """Credits left: the least that a key showed."""
    drift: int | None = None
    """Credits the vendor took beyond what the ledger has charged; below zero: that it took less."""


def close_books(ledger: Ledger, run_id: str, floors: Sequence[Floor]) -> Books:
    """Settle with the balance what failed jobs may have cost, and give what is left over.

    No vendor says whether a failed job is refunded: the credits stay reserved until a balance proves either.
    """
    asked = [floor for floor in floors if floor.balance_before is not None]
    before = [floor.balance_before for floor in asked if floor.balance_before is not None]
    after = [floor.balance_after for floor in asked if floor.balance_after is not None]
    if not before or len(after) < len(before):
        return Books(min([*after, *before], default=None))
    disputed = ledger.disputed(asked[0].orders.kind).get(run_id, 0)
    unexplained = _unexplained(before, after, ledger.credits(run_id).run.charged, disputed)
    carried = sum(floor.carried for floor in asked)
    if carried:
        # An earlier run's jobs were charged before this one, or during it: any part of them explains as much.
        unexplained -= min(max(unexplained, 0), carried)
    elif disputed and unexplained <= 0:
        ledger.release_disputed(run_id)
    elif disputed and unexplained >= disputed:
        unexplained -= ledger.charge_disputed(run_id)
    return Books(min(after), unexplained)


def _unexplained(before: Sequence[int], after: Sequence[int], charged: int, disputed: int) -> int:
    """Give what the vendor took beyond the charges.

    Keys may share an account, each then seeing all of it, or have one each; no vendor tells. What agrees better with
    the ledger is believed.
    """
    readings = (sum(before) - sum(after) - charged, max(before) - min(after) - charged)
    return min(readings, key=lambda reading: min(abs(reading), abs(reading - disputed)))
