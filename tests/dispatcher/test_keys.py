"""Several API keys: a dispatcher each, one queue of tracks, one budget."""

from __future__ import annotations

from collections import Counter

import pytest

from stemline.budget import Limits
from stemline.errors import BudgetReached, KeyRefused, OutOfCredits

NAMES = [f"t{number:02d}" for number in range(24)]
TWO = ("first", "second")


def test_every_track_is_paid_once_whichever_key_takes_it(harness, vendor):
    run_id = harness.plan(*NAMES)
    assert harness.work(run_id, key_ids=TWO, max_in_flight=3) == {"collected": 24}
    assert Counter(vendor.tracks()) == dict.fromkeys(NAMES, 1)
    assert set(vendor.paid_with) == {"sk_first", "sk_second"}
    assert harness.reads == dict.fromkeys(NAMES, 1)
    assert harness.group.finished == 24


def test_keys_of_one_account_agree_with_its_balance(harness, vendor):
    run_id = harness.plan(*NAMES)
    harness.work(run_id, key_ids=TWO)
    assert harness.ledger.credits.spending(run_id).run.charged == 240
    assert harness.group.reconciliation.balance == vendor.credits == 760
    assert harness.group.reconciliation.drift == 0


def test_the_keys_share_the_budget(harness, vendor):
    counts = harness.work(harness.plan(*NAMES), key_ids=TWO, read_limits=lambda: Limits(run=105))
    assert counts == {"collected": 10, "held": 14}
    assert isinstance(harness.group.reason, BudgetReached)
    assert len(vendor.jobs) == 10


def test_a_revoked_key_leaves_its_tracks_to_the_other_keys(harness, vendor):
    vendor.revoked_key = "sk_first"
    assert harness.work(harness.plan(*NAMES), key_ids=TWO) == {"collected": 24}
    assert isinstance(harness.group.reason, KeyRefused)
    assert set(vendor.paid_with) == {"sk_second"}


def test_the_failures_of_all_keys_count_together(harness, vendor):
    vendor.endings = {name: ["FAILED"] for name in NAMES}
    run_id = harness.plan(*NAMES)
    harness.work(
        run_id, key_ids=TWO, tolerate=0.25, read_selected=lambda: 24, max_in_flight=1, max_attempts=1
    )
    assert (
        7 <= harness.ledger.queries.counts(run_id)["failed"] < len(NAMES)
    )  # what is under way is waited for


def test_each_key_takes_up_what_it_left_itself(harness, vendor):
    vendor.endings = {name: ["PROCESSING"] for name in NAMES[:4]}
    run_id = harness.plan(*NAMES[:4])
    with harness.running(run_id, key_ids=TWO) as group:
        while len(vendor.jobs) < 4:
            pass
        group.interrupt()
        list(group.ready_tracks())
        group.settle()
    for job in vendor.jobs.values():
        job["status"] = "COMPLETED"
    assert harness.work(harness.plan(*NAMES[:4]), key_ids=TWO) == {"collected": 4}
    assert len(vendor.jobs) == 4


def test_a_limit_lowered_while_the_run_goes_on_is_kept(harness, vendor):
    limits = [Limits(run=1_000)]

    def lowered() -> Limits:
        if len(vendor.jobs) >= 3:
            limits[0] = Limits(run=45)
        return limits[0]

    counts = harness.work(harness.plan(*NAMES), max_in_flight=1, read_limits=lowered)
    assert counts == {"collected": 4, "held": 20}
    assert isinstance(harness.group.reason, BudgetReached)


def test_what_the_vendor_takes_beyond_its_charges_is_told(harness, vendor):
    run_id = harness.plan("a", "b", "c")
    with harness.running(run_id) as group:
        for ready in group.ready_tracks():
            vendor.credits -= 7
            group.acknowledge([ready.attempt.token], [])
        group.settle()
    assert group.reconciliation.drift % 7 == 0
    assert group.reconciliation.drift > 0


def test_keys_of_one_account_spend_its_balance_to_the_end_and_no_further(harness, vendor):
    vendor.credits, vendor.is_strict = 105, True
    assert harness.work(harness.plan(*NAMES), key_ids=TWO) == {"collected": 10, "held": 14}
    assert isinstance(harness.group.reason, OutOfCredits)
    assert (vendor.refused, vendor.credits) == (0, 5)


@pytest.mark.long
def test_keys_of_two_accounts_spend_both(harness, vendor):
    vendor.own_credits, vendor.is_strict = {"sk_first": 75, "sk_second": 105}, True
    counts = harness.work(harness.plan(*NAMES), key_ids=TWO)
    assert counts == {"collected": 17, "held": 7}
    assert (vendor.refused, vendor.own_credits) == (0, {"sk_first": 5, "sk_second": 5})
