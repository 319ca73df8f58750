"""A job that never ends: it is left to later runs, and holds up nobody meanwhile."""

from __future__ import annotations

import time

from stemline.ledger.tables import tracks
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


def test_a_job_that_is_not_due_is_not_read_because_the_pages_in_use_do_not_reach_back_to_it(harness, vendor):
    """A long track goes first; the list is read no further back than what is due."""
    harness.facts = harness.facts.model_copy(update={"speed": 0.01})
    vendor.endings = {name: ["PROCESSING"] for name in ("long", "a", "b", "c")}
    vendor.is_listed = lambda job: job["track"] != "long"
    reads = []

    def finish(path: str) -> None:
        if path == "jobs/job0":
            reads.append(time.monotonic() - began)
        if path == "jobs" and vendor.requests.count("GET jobs") == 6:
            for job in vendor.jobs.values():
                job["status"] = "COMPLETED"

    vendor.on_get = finish
    run_id = harness.plan("long", "a", "b", "c")
    with harness.ledger.database.write() as connection:
        a_long_one = tracks.update().where(tracks.c.track_id == "long").values(duration_seconds=150.0)
        connection.execute(a_long_one)
    began = time.monotonic()
    assert harness.work(run_id, requests_per_minute=6_000) == {"collected": 4}
    assert min(reads) >= 0.01 * 150
