"""The dispatcher against a vendor that loses answers, fails jobs, runs dry and hides jobs."""

from __future__ import annotations

import time
from datetime import timedelta

import pytest

from stemline.budget import Limits
from stemline.errors import BudgetReached, KeyRefused, OutOfCredits, ProviderGone, TooManyFailures
from stemline.ledger import BalanceReading
from stemline.records import Code, State, Submission
from stemline.settings import load_facts

OUTAGE_SECONDS = 1.2
"""Twice the grace time of these tests."""


def test_every_planned_track_is_submitted_once_and_collected(harness, vendor):
    assert harness.work(harness.plan("a", "b", "c")) == {"collected": 3}
    assert sorted(vendor.tracks()) == ["a", "b", "c"]
    assert harness.group.reason is None
    assert harness.group.finished == 3


def test_a_submit_without_an_answer_is_found_in_the_list_and_not_repeated(harness, vendor):
    vendor.submits = ["cut", "ok", "cut"]
    assert harness.work(harness.plan("a", "b", "c")) == {"collected": 3}
    assert sorted(vendor.tracks()) == ["a", "b", "c"]
    assert vendor.requests.count("POST jobs") == 3


def test_a_submit_that_never_arrived_is_sent_again_after_the_grace_time(harness, vendor):
    vendor.submits = ["lose"]
    run_id = harness.plan("a")
    assert harness.work(run_id) == {"collected": 1}
    assert vendor.tracks() == ["a"]
    assert vendor.requests.count("POST jobs") == 2
    assert harness.ledger.credits.spending(run_id).run.charged == 10
    assert harness.ledger.credits.spending(run_id).run.reserved == 0


def test_a_list_that_lacks_the_jobs_does_not_lose_them(harness, vendor):
    vendor.unlisted = True
    assert harness.work(harness.plan("a", "b", "c", "d")) == {"collected": 4}
    assert len(vendor.jobs) == 4


def test_a_failed_job_is_tried_again(harness, vendor):
    vendor.endings = {"b": ["FAILED"]}
    assert harness.work(harness.plan("a", "b")) == {"collected": 2}
    assert sorted(vendor.tracks()) == ["a", "b", "b"]


def test_a_job_that_always_fails_ends_as_failed_after_so_many_attempts(harness, vendor):
    vendor.endings = {"b": ["FAILED"] * 9}
    run_id = harness.plan("a", "b")
    assert harness.work(run_id, max_attempts=2) == {"collected": 1, "failed": 1}
    assert vendor.tracks().count("b") == 2
    assert harness.ledger.queries.codes(run_id) == {Code.OK: 1, Code.JOB_FAILED: 1}


def test_failed_jobs_are_charged_when_the_balance_says_so(harness, vendor):
    vendor.endings = {"b": ["FAILED"] * 9}
    run_id = harness.plan("a", "b")
    harness.work(run_id, max_attempts=1)
    spent = harness.ledger.credits.spending(run_id).run
    assert (spent.reserved, spent.charged) == (0, 1_000 - vendor.credits)


def test_outputs_deleted_before_they_were_collected_are_expired_and_not_paid_again(harness, vendor):
    vendor.endings = {"a": ["EXPIRED"]}
    assert harness.work(harness.plan("a", "b")) == {"expired": 1, "collected": 1}
    assert vendor.tracks().count("a") == 1


def test_too_many_failures_stop_the_run(harness, vendor):
    names = [f"t{number}" for number in range(8)]
    vendor.endings = {name: ["FAILED"] * 3 for name in names}
    counts = harness.work(
        harness.plan(*names), tolerate=0.2, read_selected=lambda: 8, max_in_flight=1, max_attempts=1
    )
    assert isinstance(harness.group.reason, TooManyFailures)
    assert counts["failed"] + counts["planned"] == 8
    assert 2 <= counts["failed"] <= 5  # those under way when it stopped are waited for


def test_no_credits_left_keeps_what_was_accepted_and_frees_the_rest(harness, vendor):
    vendor.submits = ["ok", "402", "402", "402"]
    run_id = harness.plan("a", "b", "c", "d")
    counts = harness.work(run_id, max_in_flight=1)
    assert isinstance(harness.group.reason, OutOfCredits)
    assert counts == {"collected": 1, "held": 3}
    assert harness.ledger.credits.spending(run_id).run.reserved == 0
    vendor.submits = []
    assert harness.work(harness.plan("a", "b", "c", "d")) == {"collected": 4}
    assert sorted(vendor.tracks()) == ["a", "b", "c", "d"]


def test_a_revoked_key_stops_the_run_before_anything_is_reserved(harness, vendor):
    vendor.revoked = True
    run_id = harness.plan("a")
    assert harness.work(run_id) == {"planned": 1}
    assert isinstance(harness.group.reason, KeyRefused)
    assert harness.ledger.credits.spending(run_id).run.total == 0


@pytest.mark.parametrize("path", ["balance", "jobs", "jobs/job0"])
def test_a_few_broken_answers_are_asked_again(harness, vendor, path):
    vendor.broken = {path: 2}
    assert harness.work(harness.plan("a", "b", "c", "d")) == {"collected": 4}
    assert harness.group.reason is None


def test_a_broken_provider_stops_the_run_before_anything_is_reserved(harness, vendor):
    vendor.broken = {"balance": 99}
    assert harness.work(harness.plan("a")) == {"planned": 1}
    assert isinstance(harness.group.reason, ProviderGone)


def test_a_broken_list_is_done_without(harness, vendor):
    vendor.broken = {"jobs": 99}
    assert harness.work(harness.plan("a", "b", "c", "d")) == {"collected": 4}
    assert harness.group.reason is None
    assert sorted(vendor.tracks()) == ["a", "b", "c", "d"]


def test_an_unanswered_submit_that_the_list_cannot_resolve_is_unknown_and_stops_nobody(harness, vendor):
    vendor.broken = {"jobs": 99}
    vendor.submits = ["cut"]
    assert harness.work(harness.plan("a", "b", "c", "d")) == {"collected": 3, "unknown": 1}
    assert harness.group.reason is None
    vendor.broken = {}
    assert harness.work(harness.plan("a", "b", "c", "d")) == {"collected": 4}
    assert len(vendor.jobs) == 4


def test_a_job_that_cannot_be_read_is_left_to_the_next_run(harness, vendor):
    vendor.broken = {"jobs/job0": 99}
    assert harness.work(harness.plan("a")) == {"processing": 1}
    vendor.broken = {}
    assert harness.work(harness.plan("a")) == {"collected": 1}
    assert len(vendor.jobs) == 1


def test_stale_links_are_read_again(harness, vendor):
    assert harness.work(harness.plan("a", "b"), stale={"a": 2}) == {"collected": 2}
    assert harness.reads == {"a": 3, "b": 1}
    assert len(vendor.jobs) == 2


def test_links_that_stay_stale_leave_the_track_ready_for_the_next_run(harness, vendor):
    assert harness.work(harness.plan("a"), stale={"a": 99}) == {"ready": 1}
    assert harness.work(harness.plan("a")) == {"collected": 1}
    assert len(vendor.jobs) == 1


def test_a_store_without_what_the_vendor_should_have_is_asked_again_by_each_run(harness, vendor):
    for _ in range(3):
        assert harness.work(harness.plan("a"), stale={"a": 99}, is_gone=True) == {"ready": 1}
    assert harness.work(harness.plan("a")) == {"collected": 1}
    assert len(vendor.jobs) == 1


def test_what_is_gone_in_a_second_run_after_the_vendor_keeps_it_is_expired(harness, vendor, monkeypatch):
    assert harness.work(harness.plan("a"), stale={"a": 99}, is_gone=True) == {"ready": 1}
    seconds = load_facts("local").outputs_seconds
    now = harness.ledger.clock() + timedelta(seconds=seconds + 3600)
    monkeypatch.setattr(harness.ledger.database, "clock", lambda: now)
    assert harness.work(harness.plan("a"), stale={"a": 99}, is_gone=False) == {"ready": 1}
    run_id = harness.plan("a")
    assert harness.work(run_id, stale={"a": 99}, is_gone=True) == {"expired": 1}
    assert harness.ledger.queries.codes(run_id) == {Code.OUTPUTS_EXPIRED: 1}
    assert len(vendor.jobs) == 1


def test_the_run_limit_is_never_passed_and_holds_the_rest(harness, vendor):
    run_id = harness.plan("a", "b", "c", "d")
    counts = harness.work(run_id, read_limits=lambda: Limits(run=25))
    assert counts == {"collected": 2, "held": 2}
    assert isinstance(harness.group.reason, BudgetReached)
    assert 1_000 - vendor.credits == 20


def test_a_least_balance_waits_for_credits_to_settle_before_it_holds(harness, vendor):
    vendor.credits = 45
    counts = harness.work(harness.plan("a", "b", "c", "d", "e"), read_limits=lambda: Limits(floor=10))
    assert counts == {"collected": 3, "held": 2}
    assert vendor.credits == 15


def test_an_interrupt_submits_nothing_more_and_ends(harness, vendor):
    run_id = harness.plan("a", "b", "c")
    vendor.endings = {"a": ["PROCESSING"]}
    with harness.running(run_id, max_in_flight=1) as group:
        group.interrupt()
        assert list(group.ready_tracks()) == []
        group.settle()
    counts = harness.ledger.queries.counts(run_id)
    assert counts.get(State.PLANNED, 0) >= 2
    assert len(vendor.jobs) <= 1


class TestAnEarlierRun:
    """What a killed run left in the ledger is taken up by the next one."""

    @pytest.fixture
    def left(self, harness):
        """An attempt of track `a`, sent when the test says so."""
        run_id = harness.plan("a")
        track = harness.ledger.tracks.next_planned(run_id, 1)[0]
        return harness.ledger.attempts.reserve(run_id, track, "sl" + "0" * 20, 10, Limits())

    def test_an_intent_that_never_left_is_freed(self, harness, vendor, left):
        assert harness.work(harness.plan("a")) == {"collected": 1}
        assert len(vendor.jobs) == 1
        assert harness.attempt_state(left.token) == "released"

    def test_a_submit_that_arrived_is_adopted(self, harness, vendor, left):
        harness.ledger.attempts.mark_sending(left.token)
        vendor.make_job({"fileName": f"a.{left.token}.mp3"})
        assert harness.work(harness.plan("a")) == {"collected": 1}
        assert len(vendor.jobs) == 1
        assert vendor.requests.count("POST jobs") == 0

    def test_a_submit_that_never_arrived_is_repeated(self, harness, vendor, left):
        reading = BalanceReading(vendor.credits, harness.ledger.clock())
        harness.ledger.attempts.mark_sending(left.token, balance=reading)
        assert harness.work(harness.plan("a")) == {"collected": 1}
        assert vendor.requests.count("POST jobs") == 1

    @pytest.mark.long
    def test_absent_it_is_sent_before_what_comes_behind_it(self, harness, vendor, left):
        vendor.make_job({"fileName": "old.mp3"})["createdAt"] = (
            "2026-01-01T00:00:00Z"  # so far back the list goes
        )
        harness.ledger.attempts.mark_sending(left.token)
        later = [f"b{number}" for number in range(40)]
        harness.work(harness.plan("a", *later), max_in_flight=2)
        assert sorted(vendor.tracks()) == sorted(["old", "a", *later])
        assert vendor.tracks()[-1] != "a"

    def test_a_job_in_flight_is_collected(self, harness, vendor, left):
        harness.ledger.attempts.mark_sending(left.token)
        job = vendor.make_job({"fileName": f"a.{left.token}.mp3"})
        harness.ledger.attempts.record_submission(left.token, Submission(job["id"]))
        assert harness.work(harness.plan()) == {}
        assert harness.attempt_state(left.token) == State.COLLECTED

    def test_an_unknown_one_is_settled_when_the_vendor_answers(self, harness, vendor, left):
        harness.ledger.attempts.mark_sending(left.token)
        harness.ledger.attempts.mark_unknown(left.token, "The run ended first.")
        vendor.make_job({"fileName": f"a.{left.token}.mp3"})
        assert harness.work(harness.plan("a")) == {"collected": 1}
        assert len(vendor.jobs) == 1


def test_the_grace_time_begins_when_a_dead_vendor_answers_again(harness, vendor):
    """The outage outlasts the grace time, and the first list after it does not show the job yet."""
    died_at, lists = [], []

    def live_or_die(path: str) -> None:
        if path == "balance" and not vendor.jobs:
            return
        died_at.append(time.monotonic())
        is_dead = died_at[-1] - died_at[0] < OUTAGE_SECONDS
        vendor.broken = {"jobs": 9, "balance": 9} if is_dead else {}
        if path == "jobs" and not is_dead:
            lists.append(path)
            vendor.unlisted = len(lists) == 1

    vendor.on_get = live_or_die
    vendor.submits = ["cut"]
    assert harness.work(harness.plan("a")) == {"collected": 1}
    assert vendor.tracks() == ["a"]
