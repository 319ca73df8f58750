"""A flow run cancelled before it began, when it had begun to pay, and when its worker is gone."""

from __future__ import annotations

import os
import signal

import pytest
from support.books import assert_books_are_right
from support.prefect_worker import Worker, processes_of

TRACKS = 5
pytestmark = [pytest.mark.xdist_group("prefect"), pytest.mark.long, pytest.mark.timeout(600)]


@pytest.fixture
def worker(project, prefect_api):
    project.prepare(TRACKS, provider={"max_in_flight": 1})
    worker = Worker(project, prefect_api)
    yield worker
    worker.close()


def assert_next_run_finishes(worker):
    assert worker.ended(worker.begin())["state_type"] == "COMPLETED", worker.log
    worker.project.assert_published_once(TRACKS)


def test_cancelled_before_a_worker_took_it_nothing_is_begun(worker):
    run = worker.begin()
    worker.set_state(run, "CANCELLING")
    assert worker.ended(run)["state_type"] == "CANCELLED"
    assert_books_are_right(worker.project, TRACKS)
    worker.start()
    assert_next_run_finishes(worker)
    assert worker.run(run)["state_type"] == "CANCELLED"


@pytest.mark.by_turns
@pytest.mark.parametrize("verb", ["start_run", "mark_sending", "record_ready"])
def test_cancelled_under_way_the_next_run_goes_on_from_there(worker, verb):
    worker.start()
    run = worker.begin()
    worker.wait_for_event(verb)
    worker.set_state(run, "CANCELLING")
    assert worker.ended(run)["state_type"] == "CANCELLED", worker.log
    assert_books_are_right(worker.project, TRACKS)
    assert_next_run_finishes(worker)


def test_a_flow_run_whose_worker_is_gone_is_cancelled_by_a_signal_to_its_process(worker):
    worker.start()
    run = worker.begin()
    worker.wait_for_event("record_submission")
    worker.kill()
    worker.set_state(run, "CANCELLING")
    for pid in processes_of(run):
        os.kill(pid, signal.SIGTERM)
    assert worker.ended(run)["state_type"] == "CANCELLED", worker.log
    assert_books_are_right(worker.project, TRACKS)
    worker.start()
    assert_next_run_finishes(worker)
