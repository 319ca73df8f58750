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
    balance = _balance(floors)
    lost = [
        floor.balance_before - floor.balance_after
        for floor in floors
        if floor.balance_before is not None and floor.balance_after is not None
    ]
    if not lost or len(lost) < len([floor for floor in floors if floor.balance_before is not None]):
        return Books(balance)
    disputed = ledger.disputed(floors[0].orders.kind).get(run_id, 0)
    unexplained = _unexplained(lost, ledger.credits(run_id).run.charged, disputed)
    if disputed and unexplained <= 0:
        ledger.release_disputed(run_id)
    elif disputed and unexplained >= disputed:
        unexplained -= ledger.charge_disputed(run_id)
    return Books(balance, unexplained)


def _unexplained(lost: Sequence[int], charged: int, disputed: int) -> int:
    """Give what the vendor took beyond the charges.

    Keys may share an account, each then seeing the whole loss, or have one each; no vendor tells. What agrees better
    with the ledger is believed.
    """
    readings = (sum(lost) - charged, max(lost) - charged)
    return min(readings, key=lambda reading: min(abs(reading), abs(reading - disputed)))


def _balance(floors: Sequence[Floor]) -> int | None:
    known = [
        floor.balance_before if floor.balance_after is None else floor.balance_after
        for floor in floors
        if floor.balance_before is not None
    ]
    return min(known, default=None)
