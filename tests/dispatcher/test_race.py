"""A webhook and the list tell of the same jobs at once: each is read once and passed on once."""

from __future__ import annotations

import threading
from datetime import UTC, datetime

from stemline.records import Event, Phase

WAIT_SECONDS = 20


def test_jobs_that_webhooks_tell_of_while_the_list_is_on_its_way_are_read_once(harness, vendor, monkeypatch):
    monkeypatch.setattr("stemline.dispatcher.session.WEBHOOK_POLL_SECONDS", 0.05)
    reads, asked = threading.Semaphore(0), []

    def meet(path: str) -> None:
        """Hold the first list back until all that it will show was told of and is being read."""
        if asked:
            asked.append(path)
            reads.release()
        elif path == "jobs":
            asked.append(path)
            for job in vendor.jobs.values():
                job["status"] = "COMPLETED"
                event = Event(job["id"], Phase.DONE, datetime.now(UTC), "digest")
                harness.ledger.inbox.receive("local", event)
            harness.group.wake()
            assert all(reads.acquire(timeout=WAIT_SECONDS) for _ in vendor.jobs)

    vendor.on_get = meet
    vendor.endings = {name: ["PROCESSING"] for name in "abc"}
    counts = harness.work(harness.plan("a", "b", "c"), hook_url="http://127.0.0.1:1/hooks")
    assert counts == {"collected": 3}
    assert sorted(asked) == ["balance", "jobs", "jobs/job0", "jobs/job1", "jobs/job2"]
    assert harness.reads == {"a": 1, "b": 1, "c": 1}
