"""A run whose lease is gone, and another one that goes on with its key: nothing is paid twice, nothing breaks off."""

from __future__ import annotations

from stemline.errors import LeaseHeld

QUICK = 600
"""Requests a minute at which the second submit waits while the first is on the wire."""


def test_an_answer_that_comes_after_another_run_freed_its_submit_ends_the_run_in_a_sentence(
    harness, vendor, caplog
):
    def take_over() -> None:
        vendor.on_post = lambda: None
        ledger = harness.ledger
        ledger.leases.release("key", ledger.leases.get("key").fence)
        ledger.leases.acquire("key", "another run", 60)
        (attempt,) = ledger.recovery.unanswered("local")
        ledger.attempts.release(attempt.token)

    vendor.on_post = take_over
    counts = harness.work(harness.plan("a", "b", "c"), requests_per_minute=QUICK)
    assert isinstance(harness.group.reason, LeaseHeld)
    assert "another run holds it now" in harness.group.reason.message
    assert counts.keys() <= {"planned", "submitting"}
    assert (
        harness.ledger.recovery.unanswered("local") == []
    )  # whoever goes on with the key may send all three
    assert vendor.requests.count("POST jobs") == 1
    assert (
        "Job job0 was made for a" in caplog.text
    )  # which the other run pays for again: it is said, at least


def test_what_another_run_freed_before_it_left_does_not_leave(harness, vendor):
    def free() -> None:
        vendor.on_post = lambda: None
        for attempt in harness.ledger.recovery.never_sent("local"):
            assert harness.ledger.attempts.withdraw(attempt.token)

    vendor.on_post = free
    run_id = harness.plan("a", "b", "c")
    assert harness.work(run_id, requests_per_minute=QUICK) == {"collected": 3}
    assert harness.group.reason is None
    assert sorted(vendor.tracks()) == ["a", "b", "c"]
    assert harness.ledger.credits.spending(run_id).run.total == 30
