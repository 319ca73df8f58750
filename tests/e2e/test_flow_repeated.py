"""A flow run that Prefect carries out again, or that is begun twice at once: nothing is paid for twice."""

from __future__ import annotations

import pytest
from support.books import assert_books_are_right
from support.prefect_worker import Worker

TRACKS = 5
pytestmark = [pytest.mark.xdist_group("prefect"), pytest.mark.long, pytest.mark.timeout(600)]


@pytest.fixture
def new_worker(project, prefect_api):
    workers = []

    def begin(**env):
        project.prepare(TRACKS, provider={"max_in_flight": 2})
        workers.append(Worker(project, prefect_api, **env))
        workers[-1].start()
        return workers[-1]

    yield begin
    for worker in workers:
        worker.close()


def test_a_flow_that_failed_midway_is_retried_and_pays_only_for_what_is_left(new_worker, break_with):
    worker = new_worker(PREFECT_FLOWS_DEFAULT_RETRIES="1")
    break_with({"fault": "key_revoked", "endpoint": "POST /api/v1/jobs", "nth": [3]})
    run = worker.begin()
    ended = worker.ended(run)
    assert (ended["state_type"], ended["run_count"]) == ("COMPLETED", 2), worker.log
    assert "Traceback" not in worker.log
    worker.project.assert_published_once(TRACKS)


def test_a_flow_that_fails_at_its_last_try_too_says_why_as_the_shell_does(new_worker):
    worker = new_worker(PREFECT_FLOWS_DEFAULT_RETRIES="1", STEM_KEY="sk_wrong")
    ended = worker.ended(worker.begin())
    assert (ended["state_type"], ended["run_count"]) == ("FAILED", 2), worker.log
    assert ended["state"]["message"].startswith("StemSplit refused the API key")
    assert "Traceback" not in worker.log
    assert_books_are_right(worker.project, TRACKS)
    assert worker.project.provider.charged == 0


def test_a_flow_run_killed_and_retried_from_the_ui_goes_on_from_there(new_worker):
    worker = new_worker()
    run = worker.begin()
    worker.wait_for_event("record_ready")
    worker.kill_run(run)
    assert worker.ended(run)["state_type"] == "CRASHED"
    assert_books_are_right(worker.project, TRACKS)
    worker.wait_until_let_go(run)
    assert worker.press_retry(run)["status"] == "ACCEPT"
    ended = worker.ended(run)
    assert (ended["state_type"], ended["run_count"]) == ("COMPLETED", 2), worker.log
    worker.project.assert_published_once(TRACKS)


def test_a_completed_flow_run_retried_from_the_ui_pays_nothing(new_worker):
    worker = new_worker()
    run = worker.begin()
    assert worker.ended(run)["state_type"] == "COMPLETED", worker.log
    worker.project.assert_published_once(TRACKS)
    before = worker.project.files()
    worker.wait_until_let_go(run)
    assert worker.press_retry(run)["status"] == "ACCEPT"
    ended = worker.ended(run)
    assert (ended["state_type"], ended["run_count"]) == ("COMPLETED", 2), worker.log
    worker.project.assert_published_once(TRACKS)
    assert worker.project.files() == before


def test_the_same_deployment_begun_twice_at_once_pays_once(new_worker):
    worker = new_worker()
    runs = [worker.begin(), worker.begin()]
    ended = [worker.ended(run) for run in runs]
    assert "COMPLETED" in {each["state_type"] for each in ended}, worker.log
    for each in ended:
        if each["state_type"] != "COMPLETED":
            assert "works with this API key" in each["state"]["message"]
    assert "Traceback" not in worker.log
    worker.project.assert_published_once(TRACKS)
