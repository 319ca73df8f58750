"""Every metric of the dashboard and of the alert rules is one that a real run or a real service exposes."""

from __future__ import annotations

import json
import re
from contextlib import suppress
from pathlib import Path

import httpx
import pytest
import yaml
from prometheus_client.parser import text_string_to_metric_families

from stemline.exposition import MetricDefinition
from stemline.telemetry import metric

FOLDER = Path(__file__).parents[2] / "docs" / "observability"
NAMES = re.compile(r"\b(?:stemline|http_client)_[a-z_]+\b(?!\s*(?:=|!=|=~|!~))")
LABELS = re.compile(r"\bby \([^)]*\)|\bon \([^)]*\)|\{[^}]*\}")


def expressions() -> list[str]:
    dashboard = json.loads((FOLDER / "grafana-dashboard.json").read_text())
    rules = yaml.safe_load((FOLDER / "prometheus-rules.yaml").read_text())
    panels = [target["expr"] for panel in dashboard["panels"] for target in panel["targets"]]
    return [*panels, *(rule["expr"] for group in rules["groups"] for rule in group["rules"])]


def asked(expression: str) -> set[str]:
    return set(NAMES.findall(LABELS.sub("", expression)))


def exposed(http, url: str) -> set[str]:
    families = text_string_to_metric_families(http.get(url).raise_for_status().text)
    return {sample.name for family in families for sample in family.samples}


@pytest.fixture
def listening(project, free_port):
    """`stemline listen`, and a catalogue of three whose runs answer for themselves on another address."""
    address = f"127.0.0.1:{free_port}"
    webhooks = {"public_url": f"http://{address}", "listen": address}
    telemetry = {"metrics": f"127.0.0.2:{free_port}"}
    project.prepare(3, budget={"day": 500, "run": 400, "month": 600}, webhooks=webhooks, telemetry=telemetry)
    child = project.start("listen", project.config)
    assert child.until(lambda: "Listening at" in child.notes())
    yield f"http://{address}/metrics"
    child.kill()


@pytest.mark.long
def test_every_panel_and_rule_asks_for_what_is_exposed(project, listening, break_with, http, service):
    """One run ends; another has a job that is stuck and stems that cannot be had, and is looked at meanwhile."""
    wanted = set().union(*map(asked, expressions()))
    assert project.stemline("run", project.config, "--json", "--limit", 1).code == 0
    found = exposed(http, listening) | exposed(http, f"{service.url}/metrics")
    break_with({"fault": "job_stuck", "times": 1}, {"fault": "page_for_stem"})
    running = project.start("run", project.config, "--json")

    def is_all_there() -> bool:
        with suppress(httpx.HTTPError):
            found.update(exposed(http, listening.replace("127.0.0.1", "127.0.0.2")))
        return wanted <= found

    assert running.until(is_all_there, seconds=60), wanted - found
    running.kill()


def test_every_metric_there_is_has_a_panel():
    shown = set().union(*map(asked, expressions()))
    defined = [each for each in vars(metric).values() if isinstance(each, MetricDefinition)]

    assert {each.prometheus_name for each in defined} - shown == {"http_client_request_duration_seconds"}


def test_what_is_looked_for_is_seen():
    assert asked('max by (stemline_catalogue) (stemline_run_active{stemline_catalogue=~"$c"}) == 0') == {
        "stemline_run_active"
    }
