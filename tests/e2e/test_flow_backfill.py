"""Backfills as flow runs of a real Prefect server: begun by parameters, gone on with by name, refused in a sentence."""

from __future__ import annotations

import json

import pytest
from support.prefect_server import ask, end_flow, flow_runs, prefect_environment, start_flow

pytestmark = [pytest.mark.xdist_group("prefect"), pytest.mark.long]
TRACKS = 4


@pytest.fixture
def dated(project):
    """Four tracks, of a year each."""
    project.prepare(TRACKS, provider={"max_in_flight": 1, "pilot": 0}, execution={"batch_seconds": 0.05})
    rows = [{**row, "released_on": f"{2010 + n}-06-01"} for n, row in enumerate(project.good_rows(TRACKS))]
    project.write_manifest(rows)
    return project


def run_flow(project, url, **parameters):
    before = flow_runs(url)
    environment = prefect_environment(project, url)
    end_flow(start_flow(environment, "backfill_catalogue", config=str(project.config), **parameters))
    (flow_run,) = flow_runs(url, before)
    return flow_run


def artifacts(url, flow_run):
    made = ask(url, "artifacts/filter", flow_runs={"id": {"any_": [flow_run["id"]]}})
    return {each["key"]: each for each in made}


def test_a_flow_freezes_a_backfill_and_shows_it_slice_by_slice(dated, prefect_api):
    asked = {"since": "2010", "until": "2020", "slice": "year", "name": "deep", "order": "oldest"}
    flow_run = run_flow(dated, prefect_api, **asked)
    assert (flow_run["state_type"], flow_run["state_name"]) == ("COMPLETED", "Completed")
    dated.assert_published_once(TRACKS)
    shown = artifacts(prefect_api, flow_run)
    rows = json.loads(shown["stemline-night-slices"]["data"])
    assert [(row["slice"], row["published"]) for row in rows] == [(f"{2010 + n}", 1) for n in range(TRACKS)]
    assert "slices done" in shown["stemline-night-progress"]["description"]
    assert "deep" in flow_run["name"]


def test_a_ceiling_ends_it_as_budget_reached_and_its_name_goes_on(dated, prefect_api):
    first = run_flow(dated, prefect_api, name="deep", credits=6)
    assert first["state_name"] == "BudgetReached"
    changed = dated.stemline("backfills", dated.config, "--change", "deep", "--credits", "1000")
    assert changed.code == 0, changed.err
    assert run_flow(dated, prefect_api, name="deep")["state_name"] == "Completed"
    dated.assert_published_once(TRACKS)


def test_what_would_be_paid_again_is_refused_with_its_sum(dated, prefect_api):
    assert dated.run().code == 0
    charged = dated.charges()
    refused = run_flow(dated, prefect_api, name="again", mode="all")
    assert refused["state_type"] == "FAILED"
    assert f"pay_again: {charged}" in refused["state"]["message"]
    assert dated.charges() == charged
