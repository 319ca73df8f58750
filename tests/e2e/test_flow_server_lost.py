"""Prefect's server lost while a flow runs: what is paid for is published, and the state is right when it is back."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from support.books import assert_books_are_right
from support.prefect_server import mortal_server, prefect_environment
from support.prefect_worker import Worker, processes_of, wait_for

TRACKS = 5
SILENCE = 45
"""Seconds without a heartbeat after which a flow run is called crashed."""
STEMLINE = Path(sys.executable).with_name("stemline")
pytestmark = [pytest.mark.xdist_group("prefect"), pytest.mark.long, pytest.mark.timeout(600)]


@pytest.fixture(scope="module")
def own_server(tmp_path_factory):
    """A server of this file's own, which is started again by whoever kills it."""
    with mortal_server(tmp_path_factory.mktemp("mortal")) as server:
        yield server


@pytest.fixture
def new_worker(project, own_server):
    workers = []

    def begin(**env):
        project.prepare(TRACKS, provider={"max_in_flight": 1})
        workers.append(Worker(project, own_server.url, PREFECT_FLOWS_HEARTBEAT_FREQUENCY="30", **env))
        workers[-1].start()
        return workers[-1]

    yield begin
    for worker in workers:
        worker.close()


def test_a_flow_run_is_completed_when_the_server_was_killed_and_is_back(new_worker, own_server):
    worker = new_worker()
    run = worker.begin()
    worker.wait_for_event("record_submission")
    own_server.kill()
    own_server.start()
    ended = worker.ended(run, 300)
    assert (ended["state_type"], ended["state"]["message"]) == (
        "COMPLETED",
        f"{TRACKS} tracks: {TRACKS} published.",
    )
    worker.project.assert_published_once(TRACKS)


def test_a_flow_run_whose_server_stays_away_does_its_work_and_is_called_crashed_later(
    new_worker, own_server, break_with
):
    pause = {"fault": "too_many_requests", "endpoint": "POST /api/v1/jobs", "nth": [2], "seconds": 20}
    break_with(pause)  # for the heartbeat to be known before the work is done
    # By default Prefect's client goes on asking for some minutes.
    worker = new_worker(PREFECT_CLIENT_MAX_RETRIES="1")
    worker.crash_when_silent(SILENCE)
    run = worker.begin()
    worker.wait_for_heartbeat(run)
    own_server.kill()
    assert worker.project.query("SELECT 1 FROM tracks WHERE state <> 'published'")
    wait_for(lambda: not processes_of(run), f"the end of its process\n{worker.log[-3000:]}", 300)
    worker.project.assert_published_once(TRACKS)
    own_server.start()
    assert worker.ended(run, 4 * SILENCE)["state_type"] == "CRASHED"
    assert worker.project.run().code == 0
    worker.project.assert_published_once(TRACKS)


def test_a_server_that_is_not_there_when_a_run_begins_is_one_sentence_and_nothing_is_paid(project, free_port):
    project.prepare(TRACKS)
    environment = prefect_environment(project, f"http://127.0.0.1:{free_port}/api")
    command = [STEMLINE, "run", project.config, "--json"]
    done = subprocess.run(
        command, env=environment, cwd=project.folder, capture_output=True, text=True, timeout=100, check=False
    )
    assert done.returncode in {2, 5}, done.stderr
    assert "Traceback" not in done.stderr
    assert len(done.stderr.splitlines()) <= 4, done.stderr
    assert "PREFECT_API_URL" in done.stderr + done.stdout
    assert project.provider.charged == 0
    assert project.provider.jobs() == []
    assert_books_are_right(project, TRACKS)
    again = project.run()
    assert again.code == 0, again.err
    project.assert_published_once(TRACKS)
