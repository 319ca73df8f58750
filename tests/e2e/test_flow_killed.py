"""A flow run's process, its worker, or both killed: the ledger is sound, nothing is paid twice, and the state tells."""

from __future__ import annotations

import pytest
from support.books import assert_books_are_right
from support.prefect_worker import Worker, processes_of, wait_for

TRACKS = 5
HEARTBEAT = {"PREFECT_FLOWS_HEARTBEAT_FREQUENCY": "30"}
"""Seconds; Prefect takes no less."""
SILENCE = 45
"""Seconds without a heartbeat after which a flow run is called crashed."""
pytestmark = [pytest.mark.xdist_group("prefect"), pytest.mark.long, pytest.mark.timeout(600)]


@pytest.fixture
def worker(project, prefect_api):
    project.prepare(TRACKS, provider={"max_in_flight": 1})
    worker = Worker(project, prefect_api, **HEARTBEAT)
    worker.start()
    yield worker
    worker.close()


def assert_next_run_finishes(worker):
    assert worker.ended(worker.begin())["state_type"] == "COMPLETED", worker.log
    worker.project.assert_published_once(TRACKS)


@pytest.mark.by_turns
@pytest.mark.parametrize("verb", ["reserve", "record_submission", "record_ready", "open_batch"])
def test_a_killed_flow_run_is_crashed_and_the_next_one_goes_on_from_there(worker, verb):
    run = worker.begin()
    worker.wait_for_event(verb)
    assert worker.kill_run(run)
    assert worker.ended(run)["state_type"] == "CRASHED"
    assert_books_are_right(worker.project, TRACKS)
    assert_next_run_finishes(worker)


def test_a_flow_run_goes_on_to_its_end_when_its_worker_is_killed(worker):
    run = worker.begin()
    worker.wait_for_event("record_submission")
    worker.kill()
    ended = worker.ended(run)
    assert (ended["state_type"], ended["state"]["message"]) == ("COMPLETED", "5 tracks: 5 published.")
    worker.project.assert_published_once(TRACKS)
    worker.start()
    assert_next_run_finishes(worker)


@pytest.mark.parametrize("end", ["power cut", "worker stopped"])
def test_a_flow_run_that_died_with_its_worker_is_called_crashed_by_the_automation(worker, end):
    worker.crash_when_silent(SILENCE)
    run = worker.begin()
    worker.wait_for_heartbeat(run)  # of a run that was never heard of, no silence is noticed
    worker.wait_for_event("record_submission")
    if end == "power cut":
        worker.kill()
        assert worker.kill_run(run)
    else:
        worker.stop()  # which kills what it has started, and says nothing to the server
    wait_for(lambda: not processes_of(run), "the end of the flow run's process")
    assert worker.run(run)["state_type"] == "RUNNING"
    assert_books_are_right(worker.project, TRACKS)
    worker.start()
    assert_next_run_finishes(worker)
    assert worker.ended(run, 4 * SILENCE)["state"]["message"] == "Nothing was heard of it."
    assert worker.run(run)["state_type"] == "CRASHED"
