"""plan, status, report, doctor, demo and serve, on a real workplace."""

from __future__ import annotations

import json
import signal
from pathlib import Path

import httpx
import pandas as pd
import pytest

from stemline_local.songs import make_catalogue

CHECKS = ["recipe", "manifest", "ledger", "dataset", "prefect", "key", "clock"]


def test_plan_foretells_the_run_and_writes_nothing(bench):
    bench.prepare(4)
    bench.write_manifest([*bench.good_rows(4), {"track_id": "gone", "uri": "nowhere.wav"}])
    before = sorted(bench.folder.iterdir())
    plan = bench.stemline("plan", bench.config, "--json")
    assert plan.code == 0, plan.err
    assert plan.tree["tracks"] == {"new": 4, "done": 0, "under_way": 0, "failed": 0, "rejected": 1, "held": 0}
    assert plan.tree["bottleneck"]
    assert [reject["code"] for reject in plan.tree["rejects"]] == ["missing_file"]
    printed = {path.name for path in bench.folder.iterdir()} - {path.name for path in before}
    assert all(name.startswith(("out-", "err-")) for name in printed)
    run = bench.run()
    assert plan.tree["credits"]["low"] <= run.tree["credits"]["charged"] <= plan.tree["credits"]["high"]
    after = bench.stemline("plan", bench.config, "--json").tree["tracks"]
    assert after == {"new": 0, "done": 4, "under_way": 0, "failed": 0, "rejected": 1, "held": 0}


def test_plan_foretells_what_a_budget_holds(bench):
    bench.prepare(6, budget={"run": 8})
    plan = bench.stemline("plan", bench.config, "--json").tree["tracks"]
    run = bench.run().tree["tracks"]
    assert (plan["new"], plan["held"]) == (run["published"], run["held"])


def test_plan_shows_a_person_a_table(bench):
    bench.prepare(2)
    shown = bench.stemline("plan", bench.config)
    assert shown.code == 0
    assert "to do" in shown.out
    assert "set by" in shown.out


@pytest.mark.parametrize("command", ["status", "report"])
def test_there_is_nothing_to_show_before_the_first_run(bench, command):
    bench.prepare(2)
    none = bench.stemline(command, bench.config, "--json")
    assert none.code == 2
    assert "stemline run" in none.tree["error"]["fix"]
    assert not bench.ledger.exists()


def test_status_and_report_agree_with_the_run(bench):
    bench.write_manifest([*bench.good_rows(2), {"track_id": "gone", "uri": "nowhere.wav"}])
    bench.write_config()
    run = bench.run().tree
    status = bench.stemline("status", bench.config, "--json")
    assert status.code == 0, status.err
    shared = ("run_id", "tracks", "codes", "report")
    assert {name: status.tree[name] for name in shared} == {name: run[name] for name in shared}
    assert status.tree["exit_code"] == 3
    assert status.tree["credits"]["run"] == {"reserved": 0, "charged": run["credits"]["charged"]}
    assert status.tree["in_flight"] == 0
    page = Path(run["report"])
    page.unlink()
    assert bench.stemline("report", bench.config, "--json").tree == {"report": run["report"]}
    assert run["run_id"] in page.read_text()
    shown = bench.stemline("status", bench.config)
    assert "ended with exit code 3" in shown.out


def test_status_tells_of_a_run_that_was_cut_off(bench):
    bench.prepare(3)
    running = bench.start("run", bench.config)
    assert running.until(lambda: bench.has_happened("record_submission"))
    running.kill()
    status = bench.stemline("status", bench.config, "--json").tree
    assert status["finished_at"] is None
    assert sum(status["tracks"].values()) == 3
    assert "cut off" in bench.stemline("status", bench.config).out


def test_doctor_is_content_with_a_good_configuration_and_spends_nothing(bench):
    bench.prepare(2)
    found = bench.stemline("doctor", bench.config, "--json")
    assert found.code == 0, found.out
    assert [check["name"] for check in found.tree["checks"]] == CHECKS
    assert all(check["is_good"] for check in found.tree["checks"])
    assert bench.provider.charged == 0
    shown = bench.stemline("doctor", bench.config)
    assert shown.code == 0
    assert shown.out.count("✓") == len(CHECKS)


def test_doctor_names_everything_that_is_wrong_at_once(bench):
    bench.prepare(2, catalogue={"manifest": "nowhere.csv"})
    (bench.folder / "wall").touch()
    bench.write_config(
        catalogue={"manifest": "nowhere.csv"}, dataset={"url": str(bench.folder / "wall" / "dataset")}
    )
    found = bench.stemline("doctor", bench.config, "--json", STEM_KEY="sk_wrong")
    bad = {check["name"]: check["sentence"] for check in found.tree["checks"] if not check["is_good"]}
    assert set(bad) == {"manifest", "dataset", "key"}
    assert found.code == 5
    assert "sk_wrong" not in found.out + found.err
    assert "nowhere.csv" in bad["manifest"]


def test_the_demo_makes_a_dataset_from_songs(bench):
    make_catalogue(bench.folder / "d" / "catalogue", count=2)  # fewer than it would make itself
    done = bench.stemline("demo", "--folder", "d", "--limit", 1, "--json")
    assert done.code == 0, done.err
    assert done.tree["tracks"] == {"published": 1}
    frame = pd.read_parquet(bench.folder / "d" / "dataset" / "tracks")
    assert len(frame) == 1
    assert frame["bpm"].notna().all()
    assert len(pd.read_parquet(bench.folder / "d" / "dataset" / "stems")) == 4


def test_the_demo_takes_a_persons_own_folder(bench):
    done = bench.stemline("demo", "--folder", "d", "--from", bench.songs[0].parent, "--limit", 1)
    assert done.code == 0, done.err
    assert "published  1" in done.out
    assert "Try next" in done.out
    gone = bench.stemline("demo", "--from", bench.folder / "nowhere", "--json")
    assert gone.code == 2
    assert "nowhere" in gone.tree["error"]["message"]


def test_serve_says_where_it_is_and_ends_on_a_signal(bench):
    serving = bench.start("serve", "--folder", "service", "--port", 0, "--key", "sk_own=5")
    out = max(bench.folder.glob("out-*.txt"), key=lambda path: path.stat().st_mtime)
    assert serving.until(lambda: out.read_text().endswith("\n"))
    address = json.loads(out.read_text())
    answer = httpx.get(f"{address['api']['stemsplit']}/balance", headers={"Authorization": "Bearer sk_own"})
    assert answer.json()["balanceSeconds"] == 5
    serving.send(signal.SIGTERM)
    assert serving.wait().code == 0
