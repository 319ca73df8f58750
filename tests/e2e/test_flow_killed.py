"""A flow run's process or its worker killed: the ledger is sound, nothing is paid twice, and the state tells."""

from __future__ import annotations

import pytest
from support.books import assert_books_are_right
from support.prefect_worker import Worker, processes_of, wait_for

TRACKS = 5
pytestmark = [pytest.mark.xdist_group("prefect"), pytest.mark.long, pytest.mark.timeout(300)]


@pytest.fixture
def worker(project, prefect_api):
    project.prepare(TRACKS, provider={"max_in_flight": 1})
    worker = Worker(project, prefect_api)
    worker.start()
    yield worker
    worker.close()


def begin_and_wait_for(worker, verb):
    run = worker.begin()
    wait_for(lambda: worker.project.has_happened(verb), verb)
    return run


@pytest.mark.parametrize("verb", ["reserve", "record_submission", "record_ready", "open_batch"])
def test_a_killed_flow_run_is_crashed_and_the_next_one_goes_on_from_there(worker, verb):
    run = begin_and_wait_for(worker, verb)
    assert worker.kill_run(run)
    assert worker.ended(run)["state_type"] == "CRASHED"
    assert_books_are_right(worker.project, TRACKS)
    assert worker.ended(worker.begin())["state_type"] == "COMPLETED", worker.log
    worker.project.assert_published_once(TRACKS)


def test_a_flow_run_goes_on_to_its_end_when_its_worker_is_killed(worker):
    run = begin_and_wait_for(worker, "record_submission")
    worker.kill()
    print(processes_of(run))
    assert worker.ended(run)["state_type"] == "COMPLETED", worker.log
    worker.project.assert_published_once(TRACKS)
    worker.start()
    assert worker.ended(worker.begin())["state_type"] == "COMPLETED", worker.log
    worker.project.assert_published_once(TRACKS)
