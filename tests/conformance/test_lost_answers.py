"""AIStemSplitter in whole runs: no list to settle an unanswered submit by, and no stems but four or six."""

from __future__ import annotations

import csv
from pathlib import Path

import pandas as pd
import pytest
import yaml
from conformance_service import CREDITS, make_songs, prompt_vendors

from flows import start

SUBMIT = "POST /v1/audio/splits"


@pytest.fixture
def run(tmp_path, service, fresh_key):
    """Process tracks through the AIStemSplitter dialect; give the run's result and what the account has lost."""

    def go(paths, stems="four"):
        key = fresh_key("ast")
        manifest = tmp_path / "catalogue.csv"
        with manifest.open("w", newline="") as file:
            rows = csv.writer(file)
            rows.writerow(["track_id", "uri", "duration_seconds"])
            rows.writerows([Path(path).stem, path, 6] for path in paths)
        tree = {
            "name": "lost",
            "catalogue": {"manifest": str(manifest)},
            "provider": {
                "kind": "aistemsplitter",
                "base_url": service.api_urls["aistemsplitter"],
                "api_key": key,
                "requests_per_minute": 6_000,
            },
            "recipe": {"stems": stems, "quality": "best", "format": "mp3"},
            "dataset": {"url": str(tmp_path / "dataset")},
            "ledger": {"url": f"sqlite:///{tmp_path}/ledger.db"},
        }
        config = tmp_path / "lost.yaml"
        config.write_text(yaml.safe_dump(tree))
        with prompt_vendors():
            result = start("process_catalogue", config=str(config))
        return result, CREDITS - result.summary["credits"]["balance"]

    return go


@pytest.fixture
def songs(tmp_path):
    (tmp_path / "music").mkdir()
    return make_songs(tmp_path / "music", 3, 5)


@pytest.mark.long
def test_answers_that_were_lost_after_the_charge_cost_nothing_twice(run, songs, break_with):
    break_with(
        {"fault": "server_error_after_accept", "endpoint": SUBMIT, "nth": [1, 2]},
        {"fault": "connection_cut", "endpoint": SUBMIT, "nth": 4},
    )
    result, lost = run(songs)
    assert result.exit_code == 0
    assert result.summary["tracks"] == {"published": 3}
    assert result.summary["credits"]["charged"] == lost


@pytest.mark.long
def test_a_submit_that_is_refused_when_repeated_is_unknown_and_stops_nobody_else(
    run, songs, break_with, service
):
    bad = f"{service.url}/"  # a page: what is remote is not opened where its length is given
    break_with({"fault": "connection_cut", "endpoint": SUBMIT, "nth": 1})
    result, lost = run([bad, *songs])
    assert result.exit_code == 3
    assert result.summary["tracks"] == {"published": 3, "unknown": 1}
    assert result.summary["codes"]["submit_unanswered"] == 1
    assert result.summary["credits"]["charged"] == lost


def test_stems_the_vendor_does_not_sell_are_mixed_down_and_said_to_be_derived(run, songs, tmp_path):
    result, lost = run(songs[:1], stems="both")
    assert result.exit_code == 0
    assert result.summary["credits"]["charged"] == lost
    table = pd.read_parquet(tmp_path / "dataset" / "stems")
    assert dict(zip(table["stem"], table["verification"], strict=True)) == {
        "instrumental": "derived",
        "vocals": "ok",
    }
