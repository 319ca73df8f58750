"""A job that never ends: it is left to later runs, and holds up nobody meanwhile."""

from __future__ import annotations

from stemline.records import Code

SECONDS = 0.4


def test_a_stuck_job_is_left_to_later_runs(harness, vendor):
    vendor.endings = {"a": ["PROCESSING"]}
    run_id = harness.plan("a", "b", "c")
    assert harness.work(run_id, job_timeout_seconds=SECONDS) == {"processing": 1, "collected": 2}
    assert harness.group.reason is None
    assert "at work on 1 track after provider.job_timeout" in harness.group.late_sentence
    assert harness.ledger.queries.codes(run_id) == {Code.OK: 2, Code.JOB_LATE: 1}


def test_the_next_run_looks_at_it_and_is_not_held_up(harness, vendor):
    vendor.endings = {"a": ["PROCESSING"]}
    harness.work(harness.plan("a"), job_timeout_seconds=SECONDS)
    counts = harness.work(harness.plan("a", "b", "c"), job_timeout_seconds=SECONDS, max_in_flight=1)
    assert counts == {"processing": 1, "collected": 2}
    assert vendor.requests.count("GET jobs/job0") >= 2
    assert vendor.tracks() == ["a", "b", "c"]


def test_it_is_collected_once_it_has_moved(harness, vendor):
    vendor.endings = {"a": ["PROCESSING"]}
    harness.work(harness.plan("a"), job_timeout_seconds=SECONDS)
    vendor.jobs["job0"]["status"] = "COMPLETED"
    run_id = harness.plan("a")
    assert harness.work(run_id, job_timeout_seconds=SECONDS) == {"collected": 1}
    assert harness.ledger.queries.codes(run_id) == {Code.OK: 1}
    assert harness.group.late_sentence == ""
