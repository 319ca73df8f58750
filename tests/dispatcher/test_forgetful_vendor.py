"""A vendor that forgets: what it lists no more was not necessarily never made, and is not paid a second time."""

from __future__ import annotations

import sqlite3
import threading
from collections import Counter
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import select

from stemline.budget import Limits
from stemline.ledger import BalanceReading, open_ledger
from stemline.ledger.tables import attempts
from stemline.records import Code, Submission

TOKEN = "sl" + "0" * 20


@pytest.fixture
def cut(harness, vendor):
    """A submit of an earlier run that was accepted and not answered."""
    run_id = harness.plan("a")
    track = harness.ledger.tracks.next_planned(run_id, 1)[0]
    attempt = harness.ledger.attempts.reserve(run_id, track, TOKEN, 10, Limits(), key_id="key")
    reading = BalanceReading(vendor.credits, harness.ledger.clock())
    harness.ledger.attempts.mark_sending(TOKEN, balance=reading)
    vendor.make_job({"fileName": f"a.{TOKEN}.mp3"})
    return attempt


@pytest.mark.usefixtures("cut")
def test_a_job_that_the_list_has_forgotten_is_not_paid_a_second_time(harness, vendor):
    vendor.is_listed = lambda job: TOKEN not in job["input"]["fileName"]
    for _night in range(2):
        run_id = harness.plan("a", "b", "c")
        assert harness.work(run_id) == {"unknown": 1, "collected": 2}
    assert sorted(vendor.tracks()) == ["a", "b", "c"]
    assert harness.ledger.queries.codes(run_id)[Code.SUBMIT_UNANSWERED] == 1


@pytest.mark.usefixtures("cut")
def test_a_list_that_reaches_back_to_before_the_submit_proves_its_absence(harness, vendor):
    old = vendor.make_job({"fileName": "old.mp3"})
    old["createdAt"] = (datetime.now(UTC) - timedelta(minutes=6)).isoformat()
    vendor.is_listed = lambda job: job is old or job["track"] == "b"
    assert harness.work(harness.plan("a")) == {"collected": 1}
    assert vendor.tracks().count("a") == 2  # the vendor never made the first: here it only pretends to have


def test_a_job_of_an_earlier_submit_of_ours_reaches_back_whatever_the_clocks_say(harness, vendor):
    run_id = harness.plan("old", "a")
    first, second = harness.ledger.tracks.next_planned(run_id, 2)
    earlier = "sl" + "1" * 20
    for track, token in ((first, earlier), (second, TOKEN)):
        harness.ledger.attempts.reserve(run_id, track, token, 10, Limits(), key_id="key")
    harness.ledger.attempts.mark_sending(earlier)
    job = vendor.make_job({"fileName": "old.x.mp3"})
    harness.ledger.attempts.record_submission(earlier, Submission(job["id"]))
    harness.ledger.attempts.mark_sending(TOKEN)
    assert harness.work(harness.plan("old", "a")) == {"collected": 2}
    assert vendor.tracks() == ["old", "a"]


def test_a_job_that_was_answered_later_may_be_newer_though_it_was_sent_earlier(harness, vendor):
    """Two submits under way overtake each other: what the list still shows was made after what it has forgotten."""
    is_taken = threading.Event()
    vendor.submits = ["cut"]
    vendor.is_listed = lambda job: job["track"] != "b"
    vendor.on_arrival = lambda track: track == "a" and is_taken.wait(10)
    vendor.on_post = is_taken.set
    assert harness.work(harness.plan("a", "b")) == {"unknown": 1, "collected": 1}
    assert vendor.tracks() == ["b", "a"]


def test_a_balance_that_did_not_move_proves_that_the_first_submit_never_arrived(harness, vendor):
    vendor.submits = ["lose"]
    assert harness.work(harness.plan("a", "b", "c")) == {"collected": 3}
    assert sorted(vendor.tracks()) == ["a", "b", "c"]


def test_a_balance_that_moved_proves_nothing(harness, vendor):
    vendor.submits = ["cut"]
    vendor.is_listed = lambda job: job["id"] != "job0"
    assert harness.work(harness.plan("a", "b")) == {"unknown": 1, "collected": 1}
    assert len(vendor.jobs) == 2


def test_a_failed_job_beside_it_makes_the_balance_no_proof(harness, vendor):
    """A refund may hide a charge."""
    vendor.submits = ["cut"]
    vendor.is_listed = lambda job: job["id"] != "job0"
    vendor.endings = {"a": ["FAILED"], "b": ["FAILED"]}  # whichever of the two arrives first is cut off
    vendor.on_get = lambda path: path == "balance" and len(vendor.jobs) == 2 and _refund(vendor)
    assert harness.work(harness.plan("a", "b"), max_attempts=1) == {"unknown": 1, "failed": 1}
    assert len(vendor.jobs) == 2


def _refund(vendor):
    vendor.credits = 1_000


def test_a_budget_that_an_unanswered_submit_uses_up_is_free_again_before_the_run_stops(harness, vendor):
    vendor.submits = ["lose"]
    counts = harness.work(harness.plan("a", "b", "c"), read_limits=lambda: Limits(run=20))
    assert counts == {"collected": 2, "held": 1}
    assert len(vendor.jobs) == 2


class TestARestoredLedger:
    """A backup of the ledger is put back that was made while submits were under way."""

    @pytest.fixture
    def restored(self, harness, vendor, tmp_path):
        """The ledger as it was when the submit of `a` was on the wire; since then all three were collected."""
        backup = tmp_path / "backup.db"
        path = harness.ledger.url.database

        def back_up() -> None:
            vendor.on_post = lambda: None
            with sqlite3.connect(path) as here, sqlite3.connect(backup) as there:
                here.backup(there)

        vendor.on_post = back_up
        assert harness.work(harness.plan("a", "b", "c"), requests_per_minute=600) == {"collected": 3}
        with open_ledger(f"sqlite:///{backup}") as ledger:
            ledger.leases.release("key", ledger.leases.get("key").fence)
            yield replace(harness, ledger=ledger, reads=Counter())

    def test_finds_the_jobs_that_were_made_meanwhile_by_their_tokens(self, restored, vendor):
        run_id = restored.plan("a")
        assert restored.work(run_id) == {"collected": 1}
        assert vendor.tracks().count("a") == 1
        assert restored.reads["a"] == 1

    def test_pays_for_none_again_that_the_vendor_has_forgotten(self, restored, vendor):
        vendor.unlisted = True
        assert restored.work(restored.plan("a")) == {"unknown": 1}
        assert vendor.tracks().count("a") == 1


class TestAKey:
    """A submit is repeated under its idempotency key only as long as that is sure to be good."""

    @pytest.mark.usefixtures("cut")
    def test_that_is_too_old_is_not_sent_again(self, harness, vendor):
        harness.facts = harness.facts.model_copy(update={"repeat_seconds": 0.0})
        run_id = harness.plan("a")
        assert harness.work(run_id) == {"unknown": 1}
        assert "GET jobs" not in vendor.requests  # nothing was asked under that key
        assert len(vendor.jobs) == 1


@pytest.mark.usefixtures("cut")
def test_what_is_not_resolved_says_how_old_it_is_and_what_helps(harness, vendor):
    vendor.unlisted = True
    harness.work(harness.plan("a"))
    with harness.ledger.database.read() as connection:
        sentence = connection.execute(select(attempts.c.sentence)).scalar_one()
    assert "neither its job nor anything older" in sentence
    assert "stemline resolve" in sentence
