"""One dispatcher per API key."""

from __future__ import annotations

from datetime import timedelta

import pytest

from stemline.errors import LeaseHeld


def test_a_second_holder_is_told_who_has_the_key_and_until_when(case) -> None:
    case.ledger.leases.acquire("key-1", "nightly on host-a", 60)
    with pytest.raises(LeaseHeld, match=r"nightly on host-a works .* until 2026-03-31 12:01:00 UTC"):
        case.ledger.leases.acquire("key-1", "b", 60)
    assert case.ledger.leases.acquire("key-2", "b", 60) == 1


def test_every_holder_gets_a_higher_fence(case) -> None:
    assert case.ledger.leases.acquire("key-1", "a", 60) == 1
    assert case.ledger.leases.acquire("key-1", "a", 60) == 2
    case.clock.advance(seconds=60)
    assert case.ledger.leases.acquire("key-1", "b", 60) == 3


def test_a_renewed_lease_lasts_longer(case) -> None:
    fence = case.ledger.leases.acquire("key-1", "a", 60)
    case.clock.advance(seconds=59)
    assert case.ledger.leases.renew("key-1", fence, 60) == case.clock.now + timedelta(seconds=60)
    case.clock.advance(seconds=59)
    with pytest.raises(LeaseHeld):
        case.ledger.leases.acquire("key-1", "b", 60)


def test_a_lost_lease_cannot_be_renewed_or_released(case) -> None:
    lost = case.ledger.leases.acquire("key-1", "a", 60)
    case.clock.advance(seconds=61)
    kept = case.ledger.leases.acquire("key-1", "b", 60)
    with pytest.raises(LeaseHeld, match="b holds it now"):
        case.ledger.leases.renew("key-1", lost, 60)
    case.ledger.leases.release("key-1", lost)
    assert case.ledger.leases.get("key-1").expires_at > case.clock.now
    case.ledger.leases.renew("key-1", kept, 60)


def test_a_released_key_is_free_at_once(case) -> None:
    fence = case.ledger.leases.acquire("key-1", "a", 60)
    case.ledger.leases.release("key-1", fence)
    assert case.ledger.leases.acquire("key-1", "b", 60) == fence + 1


def test_a_released_key_is_free_for_a_clock_that_is_behind(case) -> None:
    fence = case.ledger.leases.acquire("key-1", "a", 60)
    case.ledger.leases.release("key-1", fence)
    case.clock.advance(seconds=-30)
    assert case.ledger.leases.acquire("key-1", "b", 60) == fence + 1


def test_a_key_nobody_held_has_no_lease(case) -> None:
    assert case.ledger.leases.get("key-1") is None
    with pytest.raises(LeaseHeld, match="nobody"):
        case.ledger.leases.renew("key-1", 1, 60)
