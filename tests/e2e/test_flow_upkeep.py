"""The flows that look after a dataset: the state each ends in, what it shows, and what it tells of what it made."""

from __future__ import annotations

import json
import subprocess
import sys
import time

import pytest
from support.prefect_server import ask, flow_runs, prefect_environment

pytestmark = [pytest.mark.xdist_group("prefect"), pytest.mark.long]
PROGRAM = "import flows, sys; flows.start(sys.argv[1], config=sys.argv[2])"
EVENT_SECONDS = 30


@pytest.fixture
def run_flow(project, prefect_api):
    """Carry out a flow by name under the server, and give its flow run."""

    def run(name):
        before = flow_runs(prefect_api)
        environment = prefect_environment(project, prefect_api)
        command = [sys.executable, "-c", PROGRAM, name, str(project.config)]
        done = subprocess.run(
            command, env=environment, capture_output=True, text=True, timeout=150, check=False
        )
        (flow_run,) = flow_runs(prefect_api, before)
        return flow_run, done

    return run


def artifacts(url, flow_run):
    made = ask(url, "artifacts/filter", flow_runs={"id": {"any_": [flow_run["id"]]}})
    return {each["key"]: each["data"] for each in made}


def materialized(url, key, fact):
    """Give what was told of an asset where this is in it; events arrive behind the flow run's end."""
    deadline = time.monotonic() + EVENT_SECONDS
    asked = {"event": {"name": ["prefect.asset.materialization.succeeded"]}, "resource": {"id": [key]}}
    while time.monotonic() < deadline:
        for each in ask(url, "events/filter", filter=asked)["events"]:
            if fact in each["payload"]:
                return each["payload"]
        time.sleep(0.2)
    raise AssertionError(f"no event tells {fact} of {key}")


def test_each_flow_ends_in_its_state_with_its_artifacts_and_its_assets(project, prefect_api, run_flow):
    project.prepare(3, execution={"batch_tracks": 1})
    asset = project.dataset.as_uri()

    processed, done = run_flow("process_catalogue")
    assert processed["state_name"] == "Completed", done.stderr
    published = materialized(prefect_api, asset, "credits")
    assert published["rows"] == 1
    assert published["credits"] > 0

    released, done = run_flow("release_dataset")
    name = released["state"]["message"].split()[1]
    assert released["state"]["message"].startswith(f"Release {name} holds 3 tracks, 6 stems"), done.stderr
    told = materialized(prefect_api, f"{asset}/releases/{name}", "stems")
    assert (told["tracks"], told["stems"], told["snapshot"]) == (3, 6, None)

    compacted, done = run_flow("compact_dataset")
    assert compacted["state"]["message"].startswith("Merged 9 parts of 1 partition to 3"), done.stderr
    assert "CompactionReport(" not in str(artifacts(prefect_api, compacted))
    assert materialized(prefect_api, asset, "parts_after")["snapshot"] > 0

    verified, done = run_flow("verify_dataset")
    assert verified["state_name"] == "Completed", done.stderr
    assert "nothing is missing, extra or altered" in verified["state"]["message"]


def test_a_damaged_dataset_is_completed_as_incomplete_with_a_table_of_what_is_wrong(
    project, prefect_api, run_flow
):
    project.prepare(1)
    assert project.run().code == 0
    (path, *_) = sorted(project.stems()["path"])
    (project.dataset / path).unlink()

    verified, done = run_flow("verify_dataset")

    assert (verified["state_type"], verified["state_name"]) == ("COMPLETED", "Incomplete"), done.stderr
    assert "1 missing" in verified["state"]["message"]
    made = artifacts(prefect_api, verified)
    (row,) = json.loads(made["stemline-night-findings"])
    assert (row["finding"], row["where"]) == ("missing", path)
    assert "1 missing" in made["stemline-night-verification"]
