"""What a run says is left with the provider is what was read after its last charge, or nothing."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from stemline.budget import Spending, Spent
from stemline.dispatcher.reconciliation import Reconciliation, reconcile_balance


def ended(before, after, carried_over=0):
    """Give as much as is looked at of a dispatcher that ended; `after` None: it was cut off before it read again."""
    return SimpleNamespace(balance_before=before, balance_after=after, carried_over=carried_over)


@pytest.mark.parametrize(
    ("sessions", "charged", "left"),
    [
        ([ended(100, None)], 0, 100),
        ([ended(100, None)], 60, None),
        ([ended(100, None, carried_over=20)], 0, None),
        ([ended(None, None)], 0, None),
        ([ended(100, None), ended(100, 40)], 60, 40),
        ([ended(30, None), ended(100, 40)], 60, 40),
        ([ended(30, None), ended(100, 100)], 0, 30),
    ],
)
def test_a_balance_from_before_the_charges_is_not_told(sessions, charged, left):
    credit = SimpleNamespace(spending=lambda _: Spending(run=Spent(charged=charged)))
    assert reconcile_balance(SimpleNamespace(credits=credit), "r", sessions) == Reconciliation(left)
