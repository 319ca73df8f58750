"""Webhooks reach the dispatcher through the ledger's inbox: nothing here would be polled within the test's time."""

from __future__ import annotations

import threading
import time
from datetime import UTC, datetime

import pytest

from stemline.ledger import open_ledger
from stemline.records import Event, Phase


def tell(ledger, job_id: str, phase: Phase = Phase.DONE) -> None:
    ledger.inbox.receive("local", Event(job_id, phase, datetime.now(UTC), "digest"))


def test_an_event_that_was_faster_than_the_submit_is_read(harness, vendor) -> None:
    for number in range(3):
        tell(harness.ledger, f"job{number}")
    assert harness.work(harness.plan("a", "b", "c"), hook_url="http://127.0.0.1:1/hooks") == {"collected": 3}
    assert vendor.requests.count("GET jobs") == 0
    assert [vendor.requests.count(f"GET jobs/job{number}") for number in range(3)] == [1, 1, 1]


@pytest.mark.parametrize("is_nudged", [True, False])
def test_an_event_that_another_process_received_is_read(harness, vendor, is_nudged) -> None:
    def receive() -> None:
        with open_ledger(str(harness.ledger.url)) as other:
            while len(vendor.jobs) < 3:
                time.sleep(0.01)
            for job_id in list(vendor.jobs):
                tell(other, job_id)
            if is_nudged:
                harness.group.wake()

    run_id = harness.plan("a", "b", "c")
    receiver = threading.Thread(target=receive, daemon=True)
    receiver.start()
    assert harness.work(run_id, hook_url="http://127.0.0.1:1/hooks") == {"collected": 3}
    receiver.join(10)
    assert vendor.requests.count("GET jobs") == 0


def test_an_event_is_no_proof(harness) -> None:
    """A job that is said to have failed, and has not, is collected."""
    tell(harness.ledger, "job0", Phase.FAILED)
    assert harness.work(harness.plan("a"), hook_url="http://127.0.0.1:1/hooks") == {"collected": 1}
