"""The flow under a real Prefect server, and without one."""

from __future__ import annotations

import json
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path

import pytest
import yaml
from support.prefect_server import ask, flow_logs, flow_runs, prefect_environment

ROOT = Path(__file__).parents[2]
STEMLINE = Path(sys.executable).with_name("stemline")
"""The installed command itself."""
DEPLOYMENTS = yaml.safe_load((ROOT / "prefect.yaml").read_text())["deployments"]


def test_without_a_server_none_is_started_and_nothing_is_written_to_prefects_home(project):
    project.prepare(2)
    home = project.folder / "prefect-home"
    done = project.run(PREFECT_HOME=str(home))
    assert done.code == 0, done.err
    assert not [path for path in home.rglob("*") if path.suffix.startswith(".db")]
    project.assert_published_once(2)


@pytest.mark.xdist_group("prefect")
@pytest.mark.long
def test_a_server_sees_the_flow_and_its_tasks_completed(project, prefect_api):
    project.prepare(2)
    command = [STEMLINE, "run", project.config, "--json"]
    environment = prefect_environment(project, prefect_api)
    before = flow_runs(prefect_api)
    done = subprocess.run(
        command, env=environment, cwd=project.folder, capture_output=True, text=True, timeout=100, check=False
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("{"), done.stdout
    assert done.stdout.endswith("}\n")
    project.assert_published_once(2)
    (flow_run,) = flow_runs(prefect_api, before)
    assert flow_run["state_type"] == "COMPLETED"
    tasks = ask(prefect_api, "task_runs/filter", flow_runs={"id": {"any_": [flow_run["id"]]}})
    names = {task["name"] for task in tasks}
    assert {"plan the catalogue", "collect batch 1", "publish batch 1", "report"} <= names
    assert flow_run["name"] == f"night, {datetime.now(UTC):%Y-%m-%d}"
    assert {task["state_type"] for task in tasks} == {"COMPLETED"}
    assert project.provider.key not in str(flow_run) + str(tasks)


STATES = {
    "all": ({}, 0, ("COMPLETED", "Completed"), "2 tracks: 2 published."),
    "a limit": ({"budget": {"run": 1}}, 4, ("COMPLETED", "BudgetReached"), "2 held"),
    "a row": ({"catalogue": {"where": "track_id >= 't00'"}}, 3, ("COMPLETED", "Incomplete"), "1 rejected"),
    "a key": ({"provider": {"api_key": "sk_wrong"}}, 5, ("FAILED", "Failed"), "API key"),
    "a column": ({"dataset": {"partition_by": ["no"]}}, 2, ("FAILED", "Failed"), "partition_by names 'no'"),
}
"""By what is the matter: keys of the configuration, exit code, state and what its message says."""


@pytest.mark.xdist_group("prefect")
@pytest.mark.long
@pytest.mark.parametrize("matter", STATES)
def test_a_flow_runs_state_says_what_the_shell_says(project, prefect_api, matter):
    changes, code, state, sentence = STATES[matter]
    project.prepare(2, **changes)
    if matter == "a row":
        project.write_manifest([*project.good_rows(2), {"track_id": "t09", "uri": "/no/such/file.flac"}])
    environment = prefect_environment(project, prefect_api)
    command = [STEMLINE, "run", project.config, "--json"]
    before = flow_runs(prefect_api)
    done = subprocess.run(
        command, env=environment, cwd=project.folder, capture_output=True, text=True, timeout=100, check=False
    )
    assert done.returncode == code, done.stderr
    (flow_run,) = flow_runs(prefect_api, before)
    assert (flow_run["state_type"], flow_run["state_name"]) == state
    assert sentence in flow_run["state"]["message"]
    assert "Traceback" not in done.stderr
    lines = [each["message"] for each in flow_logs(prefect_api, flow_run)]
    assert not [line for line in lines if "Traceback" in line]
    assert project.provider.key not in "\n".join(lines)
    if state[0] == "COMPLETED":
        assert any(line.startswith("Run night-") for line in lines)
        made = ask(prefect_api, "artifacts/filter", flow_runs={"id": {"any_": [flow_run["id"]]}})
        kinds = {each["key"]: each for each in made}
        assert {"stemline-night-tracks", "stemline-night-summary", "stemline-night-progress"} <= kinds.keys()
        assert sentence in kinds["stemline-night-summary"]["data"]
        assert kinds["stemline-night-progress"]["data"] == 100
        windows = [
            row for row in json.loads(kinds["stemline-night-tracks"]["data"]) if row["what"] == "credits"
        ]
        assert [row["of"] for row in windows] == ["run", "day", "month"]
        assert windows[0]["charged"] == project.charges()
        assert windows[0]["limit"] == changes.get("budget", {}).get("run")


@pytest.mark.parametrize("deployment", DEPLOYMENTS, ids=lambda deployment: deployment["name"])
def test_entrypoint_flow_and_file_share_the_deployments_name(deployment):
    name = deployment["name"]
    assert deployment["entrypoint"] == f"flows.{name}.{name}"
    assert (ROOT / "flows" / f"{name}.py").exists()
    assert (ROOT / deployment["parameters"]["config"]).exists()
