"""The vendor loses the token of a submit whose answer is lost as well: nothing is paid twice, nothing is guessed."""

from __future__ import annotations

import time
from pathlib import PurePosixPath

import pytest

from stemline.budget import Limits
from stemline.records import Submission


def name_of_source(order: dict) -> str:
    return PurePosixPath(order["sourceUrl"]).name


@pytest.fixture
def nameless(vendor):
    """A vendor that calls no job anything, and shows its list once all of the first two submits are in."""

    def wait_for_two(path: str) -> None:
        while path == "jobs" and vendor.requests.count("POST jobs") < 2:
            time.sleep(0.01)

    vendor.name_of, vendor.on_get = (lambda _: None), wait_for_two
    return vendor


def test_a_job_is_known_by_its_sources_name(harness, vendor):
    vendor.name_of = name_of_source
    vendor.submits = ["cut", "ok", "cut"]
    assert harness.work(harness.plan("a", "b", "c")) == {"collected": 3}
    assert sorted(vendor.tracks()) == ["a", "b", "c"]
    assert harness.reads == {"a": 1, "b": 1, "c": 1}


def test_a_job_without_a_name_is_the_one_that_nobody_else_has(harness, vendor):
    vendor.name_of = lambda _: None
    vendor.submits = ["ok", "cut", "ok"]
    assert harness.work(harness.plan("a", "b", "c"), max_in_flight=1) == {"collected": 3}
    assert sorted(vendor.tracks()) == ["a", "b", "c"]


def test_a_job_that_is_listed_late_is_waited_for(harness, vendor):
    def list_at_last(path: str) -> None:
        vendor.unlisted = path == "jobs" and vendor.requests.count("GET jobs") < 3

    vendor.name_of, vendor.on_get = name_of_source, list_at_last
    vendor.submits = ["cut"]
    assert harness.work(harness.plan("a")) == {"collected": 1}
    assert vendor.requests.count("POST jobs") == 1


def test_two_jobs_that_are_alike_are_given_to_neither_submit(harness, nameless):
    nameless.submits = ["cut", "cut", "ok"]
    run_id = harness.plan("a", "b", "c")
    assert harness.work(run_id) == {"unknown": 2, "collected": 1}
    assert len(nameless.jobs) == 3
    spent = harness.ledger.credits.spending(run_id).run
    assert (spent.charged, spent.reserved) == (10, 20)


@pytest.mark.parametrize("key_ids", [("one",), ("one", "other")])
def test_one_job_of_two_unanswered_submits_is_given_to_neither(harness, nameless, key_ids):
    nameless.submits = ["lose", "cut"]
    at_once = 2 // len(key_ids)
    assert harness.work(harness.plan("a", "b"), key_ids=key_ids, max_in_flight=at_once) == {"unknown": 2}
    assert len(nameless.jobs) == 1


def test_what_was_unknown_is_resolved_when_the_list_tells_more(harness, nameless):
    nameless.submits = ["cut", "cut"]
    assert harness.work(harness.plan("a", "b")) == {"unknown": 2}
    assert harness.work(harness.plan("a", "b")) == {"unknown": 2}
    for job in nameless.jobs.values():
        job["input"]["fileName"] = f"{job['track']}.mp3"
    assert harness.work(harness.plan("a", "b")) == {"collected": 2}
    assert len(nameless.jobs) == 2


def test_a_job_that_another_attempt_has_is_no_crash(harness, vendor):
    """The vendor gives an id twice: the list shows one job under the token of a submit and the id of another's job."""
    run_id = harness.plan("a", "b")
    tracks = harness.ledger.tracks.next_planned(run_id, 2)
    tokens = ["sl" + digit * 20 for digit in "01"]
    for track, token in zip(tracks, tokens, strict=True):
        harness.ledger.attempts.reserve(run_id, track, token, 10, Limits())
        harness.ledger.attempts.mark_sending(token)
    job = vendor.make_job({"fileName": f"a.{tokens[0]}.mp3"})
    harness.ledger.attempts.record_submission(tokens[1], Submission(job["id"]))
    assert harness.work(harness.plan("a", "b")) == {"unknown": 1, "collected": 1}
    assert harness.attempt_state(tokens[0]) == "unknown"
