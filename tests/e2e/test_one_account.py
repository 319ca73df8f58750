"""One run told by its result, its page, `report --json`, Prefect's artifacts and the metrics: the same numbers."""

from __future__ import annotations

from pathlib import Path

import pytest
from support.html_page import Page

from flows.flow_artifacts import credit_rows, result_page, result_rows
from stemline.ledger import open_ledger
from stemline.records import State
from stemline.report.run_figures import figures_from_summary
from stemline.run.selection import Result
from stemline.settings import load_settings
from stemline.telemetry.ledger_metrics import LedgerMetrics

FIGURES = ("tracks", "codes", "published", "credits", "requests", "seconds", "windows")


@pytest.fixture
def done(project):
    """Two songs that come through, one that is not there, and one that the budget has no room for."""
    rows = project.good_rows(3)
    rows.insert(2, {**rows[0], "track_id": "gone", "uri": "gone.wav"})
    project.write_manifest(rows)
    project.write_config(budget={"run": 4, "day": 900})
    return project.run()


def test_page_json_artifact_and_metrics_of_a_run_tell_the_same(project, done, monkeypatch):
    result = done.tree
    assert result["tracks"][State.PUBLISHED] >= 1
    assert len(result["tracks"]) >= 2

    report = project.stemline("report", project.config, "--json").tree
    assert {name: report[name] for name in FIGURES} == {name: result[name] for name in FIGURES}
    assert report["run_id"] == result["run_id"]

    page = Page(Path(report["report"]).read_text("utf-8"))
    assert {name: page.legend()[name] for name in result["tracks"]} == result["tracks"]
    shown = {row["Code"]: int(row["Tracks"]) for row in page.table("reasons")}
    assert shown == {code: count for code, count in result["codes"].items() if code != "ok"}
    values = [each.text for each in page.of_class("value")]
    assert values[0] == f"{result['tracks'][State.PUBLISHED]:,}"
    assert values[2] == f"{result['credits']['charged']:,}"
    credits_of_rows = [int(list(row.values())[-1]) for row in page.table("tracks")]
    assert sum(credits_of_rows) == result["credits"]["charged"]

    figures = figures_from_summary(result)
    rows = [*result_rows(figures), *credit_rows(figures)]
    assert {row["of"]: row["tracks"] for row in rows if row["what"] == "state"} == result["tracks"]
    assert {row["of"]: row["charged"] for row in rows if row["what"] == "credits"} == {
        name: window["charged"] for name, window in result["windows"].items()
    }
    told = result_page(Result(done.code, result), "Ended.")
    assert f"{result['credits']['charged']:,} charged" in told
    assert f"{result['requests']['sent']:,} sent" in told

    monkeypatch.setenv("STEM_KEY", project.provider.key)
    with open_ledger(f"sqlite:///{project.ledger}") as ledger:
        samples = LedgerMetrics(ledger, load_settings(project.config)).read()
    measured = {
        (
            each.metric.name,
            *(value for name, value in each.attributes.items() if name not in COMMON),
        ): each.value
        for each in samples
    }
    assert measured["stemline.track.count", "published"] == result["tracks"][State.PUBLISHED]
    for period, window in result["windows"].items():
        assert measured["stemline.credit.charged", period] == window["charged"]
        assert measured["stemline.credit.reserved", period] == window["reserved"]
    assert measured["stemline.request.sent",] == result["requests"]["sent"]


COMMON = {"stemline.catalogue", "stemline.provider"}


@pytest.mark.long
def test_a_page_of_an_earlier_run_is_written_by_its_id_and_of_none_refused(project, done, tmp_path):
    again = project.run("--set", "budget.run=900")
    assert again.code in {0, 3}
    out = tmp_path / "first.html"
    told = project.stemline(
        "report", project.config, "--run", done.tree["run_id"], "--out", out, "--json"
    ).tree
    assert told["tracks"] == done.tree["tracks"]
    assert told["report"] == str(out)
    assert done.tree["run_id"] in out.read_text("utf-8")

    refused = project.stemline("report", project.config, "--run", "nobody")
    assert refused.code == 2
    assert again.tree["run_id"] in refused.err
    both = project.stemline("report", project.config, "--run", "x", "--dataset")
    assert both.code == 2
    assert "--run is about one run" in both.err


def test_open_shows_the_page_in_the_browser_of_the_environment(project, done):
    assert done.code
    seen = project.folder / "seen.txt"
    browser = project.folder / "browser"
    browser.write_text(f'#!/bin/sh\necho "$1" > {seen}\n')
    browser.chmod(0o755)
    opened = project.stemline("report", project.config, "--open", BROWSER=f"{browser} %s")
    assert opened.code == 0, opened.err
    assert seen.read_text().strip() == Path(opened.out.strip()).as_uri()
