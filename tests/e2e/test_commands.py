"""plan, status, report, doctor, demo and serve, on a real workplace."""

from __future__ import annotations

import json
import signal
from pathlib import Path

import httpx
import pandas as pd
import pytest

from stemline_local.songs import make_catalogue

CHECKS = [
    *("recipe", "runner", "manifest", "layout", "ledger", "dataset", "addresses", "prefect"),
    *("key", "clock"),
]


def test_plan_predicts_the_run_and_writes_nothing(project):
    project.prepare(4)
    project.write_manifest([*project.good_rows(4), {"track_id": "gone", "uri": "nowhere.wav"}])
    before = sorted(project.folder.iterdir())
    plan = project.stemline("plan", project.config, "--json")
    assert plan.code == 0, plan.err
    counts = {"new": 4, "done": 0, "under_way": 0, "failed": 0, "rejected": 1, "held": 0, "changed": 0}
    assert plan.tree["tracks"] == counts
    assert plan.tree["bottleneck"]
    assert [reject["code"] for reject in plan.tree["rejects"]] == ["missing_file"]
    printed = {path.name for path in project.folder.iterdir()} - {path.name for path in before}
    assert all(name.startswith(("out-", "err-")) for name in printed)
    run = project.run()
    assert plan.tree["credits"]["low"] <= run.tree["credits"]["charged"] <= plan.tree["credits"]["high"]
    after = project.stemline("plan", project.config, "--json").tree["tracks"]
    assert after == {
        "new": 0,
        "done": 4,
        "under_way": 0,
        "failed": 0,
        "rejected": 1,
        "held": 0,
        "changed": 0,
    }


@pytest.mark.long
def test_plan_predicts_what_a_budget_holds(project):
    project.prepare(6, budget={"run": 8})
    plan = project.stemline("plan", project.config, "--json").tree["tracks"]
    run = project.run().tree["tracks"]
    assert (plan["new"], plan["held"]) == (run["published"], run["held"])


def test_plan_shows_a_person_a_table(project):
    project.prepare(2)
    shown = project.stemline("plan", project.config)
    assert shown.code == 0
    assert "to do" in shown.out
    assert "set by" in shown.out


@pytest.mark.parametrize("command", ["status", "report"])
def test_there_is_nothing_to_show_before_the_first_run(project, command):
    project.prepare(2)
    none = project.stemline(command, project.config, "--json")
    assert none.code == 2
    assert "stemline run" in none.tree["error"]["fix"]
    assert not project.ledger.exists()


def test_status_and_report_agree_with_the_run(project):
    project.write_manifest([*project.good_rows(2), {"track_id": "gone", "uri": "nowhere.wav"}])
    project.write_config()
    run = project.run().tree
    status = project.stemline("status", project.config, "--json")
    assert status.code == 0, status.err
    shared = ("run_id", "tracks", "codes", "report")
    assert {name: status.tree[name] for name in shared} == {name: run[name] for name in shared}
    assert status.tree["exit_code"] == 3
    assert status.tree["credits"]["run"] == {"reserved": 0, "charged": run["credits"]["charged"]}
    assert status.tree["in_flight"] == 0
    page = Path(run["report"])
    page.unlink()
    assert project.stemline("report", project.config, "--json").tree["report"] == run["report"]
    assert run["run_id"] in page.read_text()
    assert status.tree["rejects"] == run["rejects"]
    (first,) = run["rejects"]["first"]
    assert (first["row"], first["track_id"], first["code"]) == (3, "gone", "missing_file")
    assert "gone" in Path(run["rejects"]["list"]).read_text()
    shown = " ".join(project.stemline("status", project.config).out.split())
    assert "ended with exit code 3" in shown
    assert "row 3: missing_file: the file" in shown
    assert f"All of them: {run['rejects']['list']}" in shown


@pytest.mark.long
def test_status_tells_of_a_run_that_was_cut_off(project):
    project.prepare(3)
    running = project.start("run", project.config)
    assert running.until(lambda: project.has_happened("record_submission"))
    running.kill()
    status = project.stemline("status", project.config, "--json").tree
    assert status["finished_at"] is None
    assert sum(status["tracks"].values()) == 3
    assert "cut off" in project.stemline("status", project.config).out


def test_doctor_is_content_with_a_good_configuration_and_spends_nothing(project):
    project.prepare(2)
    found = project.stemline("doctor", project.config, "--json")
    assert found.code == 0, found.out
    assert [check["name"] for check in found.tree["checks"]] == CHECKS
    assert all(check["is_good"] for check in found.tree["checks"])
    assert project.provider.charged == 0
    shown = project.stemline("doctor", project.config)
    assert shown.code == 0
    assert shown.out.count("✓") == len(CHECKS)


def test_doctor_names_everything_that_is_wrong_at_once(project):
    project.prepare(2, catalogue={"manifest": "nowhere.csv"})
    (project.folder / "wall").touch()
    project.write_config(
        catalogue={"manifest": "nowhere.csv"}, dataset={"url": str(project.folder / "wall" / "dataset")}
    )
    found = project.stemline("doctor", project.config, "--json", STEM_KEY="sk_wrong")
    bad = {check["name"]: check["sentence"] for check in found.tree["checks"] if not check["is_good"]}
    assert set(bad) == {"manifest", "dataset", "key"}
    assert found.code == 5
    assert "sk_wrong" not in found.out + found.err
    assert "nowhere.csv" in bad["manifest"]


@pytest.mark.long
def test_the_demo_makes_a_dataset_from_songs(project):
    make_catalogue(project.folder / "d" / "catalogue", count=2)  # fewer than it would make itself
    done = project.stemline("demo", "--folder", "d", "--limit", 1, "--json")
    assert done.code == 0, done.err
    assert done.tree["tracks"] == {"published": 1}
    assert done.tree["credits"]["balance"] is None
    left = (project.folder / ".stemline" / "service-demo" / "files").rglob("*")
    assert [path for path in left if path.is_file()] == []
    frame = pd.read_parquet(project.folder / "d" / "dataset" / "tracks")
    assert len(frame) == 1
    assert frame["bpm"].notna().all()
    assert len(pd.read_parquet(project.folder / "d" / "dataset" / "stems")) == 4


@pytest.mark.long
def test_the_demo_takes_a_persons_own_folder(project):
    done = project.stemline("demo", "--folder", "d", "--from", project.songs[0].parent, "--limit", 1)
    assert done.code == 0, done.err
    assert "published  1" in done.out
    assert "Next:" in done.out
    gone = project.stemline("demo", "--from", project.folder / "nowhere", "--json")
    assert gone.code == 2
    assert "nowhere" in gone.tree["error"]["message"]


def test_serve_says_where_it_is_and_ends_on_a_signal(project):
    serving = project.start("serve", "--folder", "service", "--port", 0, "--key", "sk_own=5")
    out = max(project.folder.glob("out-*.txt"), key=lambda path: path.stat().st_mtime)
    assert serving.until(lambda: out.read_text().endswith("\n"))
    address = json.loads(out.read_text())
    answer = httpx.get(f"{address['api']['stemsplit']}/balance", headers={"Authorization": "Bearer sk_own"})
    assert answer.json()["balanceSeconds"] == 5
    serving.send(signal.SIGTERM)
    assert serving.wait().code == 0
