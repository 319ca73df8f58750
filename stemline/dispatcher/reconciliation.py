"""A run's credits against the vendor's balance: what failed jobs cost, and what nobody can explain."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from stemline.dispatcher.session import DispatcherSession
from stemline.ledger import Ledger


@dataclass(frozen=True, slots=True)
class Reconciliation:
    """What the vendor's balance said at the end of a run; None where it was not read, or before charges."""

    balance: int | None = None
    """Credits left: the least that a key showed."""
    drift: int | None = None
    """Credits the vendor took beyond what the ledger has charged; below zero: that it took less."""


def reconcile_balance(ledger: Ledger, run_id: str, sessions: Sequence[DispatcherSession]) -> Reconciliation:
    """Decide by the balance what failed jobs may have cost, and give what is left over.

    No vendor says whether a failed job is refunded: the credits stay reserved until a balance proves either.
    """
    read = [session for session in sessions if session.balance_before is not None]
    before = [session.balance_before for session in read if session.balance_before is not None]
    after = [session.balance_after for session in read if session.balance_after is not None]
    charged = ledger.credits.spending(run_id).run.charged
    carried_over = sum(session.carried_over for session in read)
    if not before or len(after) < len(before):
        # What was read at the beginning is out of date once anything was charged.
        still_true = [] if charged or carried_over else before
        return Reconciliation(min([*after, *still_true], default=None))
    disputed = ledger.credits.disputed(read[0].parameters.kind).get(run_id, 0)
    unexplained = _unexplained(before, after, charged, disputed)
    if carried_over:
        # An earlier run's jobs were charged before this one, or during it: any part of them explains as much.
        unexplained -= min(max(unexplained, 0), carried_over)
    elif disputed and unexplained <= 0:
        ledger.credits.release_disputed(run_id)
    elif disputed and unexplained >= disputed:
        unexplained -= ledger.credits.charge_disputed(run_id)
    return Reconciliation(min(after), unexplained)


def _unexplained(before: Sequence[int], after: Sequence[int], charged: int, disputed: int) -> int:
    """Give what the vendor took beyond the charges.

    Keys may share an account, each then seeing all of it, or have one each; no vendor tells. What agrees better with
    the ledger is believed.
    """
    readings = (sum(before) - sum(after) - charged, max(before) - min(after) - charged)
    return min(readings, key=lambda reading: min(abs(reading), abs(reading - disputed)))
