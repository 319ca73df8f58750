"""An API key that was replaced: what it left behind is collected with the new one where that can be read."""

from __future__ import annotations

import pytest

from stemline.budget import Limits
from stemline.records import State


@pytest.fixture
def left(harness, vendor):
    """A track in flight that a run with the old key left."""
    vendor.endings = {"a": ["PROCESSING"]}
    with harness.running(harness.plan("a"), key_ids=("old",)) as group:
        while not vendor.jobs:
            pass
        group.interrupt()
        list(group.ready_tracks())
        group.settle()
    harness.ledger.leases.release("old", harness.ledger.leases.get("old").fence)
    (job,) = vendor.jobs.values()
    job["status"] = "COMPLETED"
    return job


@pytest.mark.usefixtures("left")
def test_a_job_of_the_same_account_is_collected(harness, vendor):
    assert harness.work(harness.plan("a"), key_ids=("new", "newer")) == {"collected": 1}
    assert len(vendor.jobs) == 1


@pytest.mark.usefixtures("left")
def test_a_job_of_another_account_is_left_alone(harness, vendor):
    vendor.jobs.clear()
    assert harness.work(harness.plan("a"), key_ids=("new",)) == {"processing": 1}
    assert vendor.jobs == {}


@pytest.mark.usefixtures("left")
def test_a_job_whose_key_another_run_holds_is_left_alone(harness):
    harness.ledger.leases.acquire("old", "another run", 60)
    assert harness.work(harness.plan("a"), key_ids=("new",)) == {"processing": 1}


def test_a_submit_without_an_answer_is_unknown(harness, vendor):
    run_id = harness.plan("a")
    (track,) = harness.ledger.tracks.next_planned(run_id, 1)
    attempt = harness.ledger.attempts.reserve(run_id, track, "sl" + "0" * 20, 10, Limits(), key_id="old")
    harness.ledger.attempts.mark_sending(attempt.token)
    for _night in range(2):
        assert harness.work(run_id, key_ids=("new",)) == {"unknown": 1}
    assert harness.attempt_state(attempt.token) == State.UNKNOWN
    assert vendor.jobs == {}


def test_an_intent_that_was_never_sent_is_freed_and_submitted_with_the_new_key(harness, vendor):
    run_id = harness.plan("a")
    (track,) = harness.ledger.tracks.next_planned(run_id, 1)
    harness.ledger.attempts.reserve(run_id, track, "sl" + "0" * 20, 10, Limits(), key_id="old")
    assert harness.work(run_id, key_ids=("new",)) == {"collected": 1}
    assert vendor.tracks() == ["a"]
