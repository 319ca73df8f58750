"""What prefect.yaml deploys: forms that explain themselves, no schedule unasked, secrets in blocks, automations."""

from __future__ import annotations

import subprocess
import sys
import time

import httpx
import pytest
from support.prefect_server import ask, end_flow, flow_runs, prefect_environment, start_flow

pytestmark = [pytest.mark.xdist_group("prefect"), pytest.mark.long]
EVENT_SECONDS = 40


@pytest.fixture
def deployments(prefect_api, deployed):
    """The deployments of prefect.yaml as the server keeps them, by name."""
    found = ask(prefect_api, "deployments/filter")
    return {each["name"]: each for each in found if each["id"] in deployed.values()}


def test_every_parameter_of_every_deployment_has_a_type_and_says_what_it_is(deployments):
    assert {"process_catalogue", "compact_dataset", "verify_dataset", "release_dataset"} <= deployments.keys()
    for each in deployments.values():
        for name, schema in each["parameter_openapi_schema"]["properties"].items():
            assert len(schema.get("description", "")) > 30, (each["name"], name)
            assert "type" in schema or "anyOf" in schema, (each["name"], name)
        assert each["parameter_openapi_schema"]["required"] == ["config"]
        assert each["enforce_parameter_schema"]


def test_no_schedule_runs_before_somebody_switches_it_on_and_no_deployment_limits_itself(deployments):
    (nightly,) = deployments["process_catalogue"]["schedules"]
    assert (nightly["schedule"]["cron"], nightly["active"]) == ("0 2 * * *", False)
    assert not [each["name"] for each in deployments.values() if each["concurrency_limit"]]


@pytest.mark.parametrize(
    "wrong",
    [{"limit": 0}, {"overrides": ["provider.api_key=sk_never_kept"]}, {"where": 5}, {"config": None}],
    ids=lambda wrong: next(iter(wrong)),
)
def test_the_server_refuses_parameters_that_cannot_be_before_it_keeps_them(prefect_api, deployed, wrong):
    with pytest.raises(httpx.HTTPStatusError, match=r"409|422"):
        ask(
            prefect_api,
            f"deployments/{deployed['process_catalogue']}/create_flow_run",
            parameters={"config": "a.yaml", **wrong},
        )
    assert not [run for run in flow_runs(prefect_api) if "sk_never_kept" in str(run)]


def test_wrong_parameters_that_nobody_refused_end_the_flow_run_with_a_sentence(project, prefect_api):
    project.prepare(1)
    environment, before = prefect_environment(project, prefect_api), flow_runs(prefect_api)

    said = end_flow(start_flow(environment, "process_catalogue", config=str(project.config), limit="many"))

    (run,) = flow_runs(prefect_api, before)
    assert run["state_type"] == "FAILED"
    assert "`limit`: input should be a valid integer" in run["state"]["message"], said


def test_a_variable_that_the_environment_lacks_is_read_from_its_secret_block(project, prefect_api):
    project.prepare(1)
    environment, before = prefect_environment(project, prefect_api), flow_runs(prefect_api)
    del environment["STEM_KEY"]
    save = "import sys; from prefect.blocks.system import Secret; Secret(value=sys.argv[1]).save('stem-key')"
    subprocess.run(
        [sys.executable, "-c", save, project.provider.key], env=environment, check=True, timeout=100
    )

    said = end_flow(start_flow(environment, "process_catalogue", config=str(project.config)))

    (run,) = flow_runs(prefect_api, before)
    assert run["state_name"] == "Completed", said
    assert run["name"].startswith("night, ")
    assert project.provider.key not in str(run)
    project.assert_published_once(1)


ENSURE = """
import asyncio, json
from prefect.client.orchestration import get_client
from flows.automations import ensure_automations

async def twice():
    async with get_client() as client:
        print(json.dumps([await ensure_automations(client), await ensure_automations(client)]))

asyncio.run(twice())
"""


def test_automations_are_made_once_and_a_reached_budget_triggers_its_own(project, prefect_api):
    project.prepare(2, budget={"run": 1})
    environment = prefect_environment(project, prefect_api)
    done = subprocess.run(
        [sys.executable, "-c", ENSURE],
        env=environment,
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("stemline: ") == 3
    assert done.stdout.rstrip().endswith(", []]")
    made = {each["name"]: each for each in ask(prefect_api, "automations/filter")}
    assert len([name for name in made if name.startswith("stemline: ")]) == 3
    assert made["stemline: a worker died"]["trigger"]["within"] >= 540

    end_flow(start_flow(environment, "process_catalogue", config=str(project.config)))

    budget = made["stemline: a budget is reached"]["id"]
    asked = {
        "event": {"name": ["prefect.automation.triggered"]},
        "resource": {"id": [f"prefect.automation.{budget}"]},
    }
    deadline = time.monotonic() + EVENT_SECONDS
    while not (found := ask(prefect_api, "events/filter", filter=asked)["events"]):
        assert time.monotonic() < deadline, "the automation was not triggered"
        time.sleep(0.3)
    assert found
