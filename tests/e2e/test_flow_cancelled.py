"""A deployed flow cancelled while it is under way: the run ends in good order, and the next one goes on from there."""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path

import pytest
from support.prefect_server import ask, flow_logs, flow_runs, prefect, prefect_environment

ROOT = Path(__file__).parents[2]
TRACKS = 5
WAIT_SECONDS = 90
pytestmark = [pytest.mark.xdist_group("prefect"), pytest.mark.long]


@pytest.fixture
def worker(project, prefect_api):
    """A worker of a pool of its own, and what deploys to it."""
    environment = {**prefect_environment(project, prefect_api), "PREFECT_WORKER_QUERY_SECONDS": "1"}
    ask(prefect_api, "work_pools/", name="cancelling", type="process")
    entrypoint = "flows.process_catalogue.process_catalogue"
    deploy = ["--no-prompt", "deploy", entrypoint, "--name", "cancelled", "--pool", "cancelling"]
    prefect(deploy, environment, ROOT)
    command = [sys.executable, "-m", "prefect", "worker", "start", "--pool", "cancelling"]
    with (project.folder / "worker.log").open("wb") as log:
        process = subprocess.Popen(command, env=environment, cwd=ROOT, stdout=log, stderr=log)
        yield prefect_api
        process.terminate()
        process.wait(30)


def wait_until(what):
    deadline = time.monotonic() + WAIT_SECONDS
    while time.monotonic() < deadline:
        if found := what():
            return found
        time.sleep(0.1)
    return None


def test_a_cancelled_flow_run_is_cancelled_and_its_tracks_are_paid_once(project, worker):
    project.prepare(TRACKS, provider={"max_in_flight": 1}, execution={"batch_seconds": 60})
    (deployment,) = [each for each in ask(worker, "deployments/filter") if each["name"] == "cancelled"]
    config = {"config": str(project.config)}
    run = ask(worker, f"deployments/{deployment['id']}/create_flow_run", parameters=config)
    assert wait_until(lambda: project.has_happened("record_submission")), project.folder / "worker.log"

    ask(worker, f"flow_runs/{run['id']}/set_state", state={"type": "CANCELLING"}, force=False)

    def ended():
        (found,) = [each for each in flow_runs(worker) if each["id"] == run["id"]]
        return found if found["state_type"] not in {"RUNNING", "CANCELLING"} else None

    found = wait_until(ended)
    assert found["state_type"] == "CANCELLED", found["state"]["message"]
    assert not [each["message"] for each in flow_logs(worker, run) if "Traceback" in each["message"]]
    assert "Traceback" not in (project.folder / "worker.log").read_text()
    again = project.run()
    assert again.code == 0, again.err
    project.assert_published_once(TRACKS)
