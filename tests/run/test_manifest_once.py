"""A run parses its manifest once, however often it is read, and lets its disk go when all rows are planned."""

from __future__ import annotations

import csv

import pytest

from stemline.run.opening import open_run
from stemline.settings import build_settings

ROWS = 40


@pytest.fixture
def manifest(tmp_path):
    path = tmp_path / "songs.csv"
    with path.open("w", newline="") as file:
        table = csv.writer(file)
        table.writerow(["url", "track_id", "duration_seconds", "catalogue_no"])
        table.writerows(
            [f"https://music.test/{number}.mp3", f"t{number}", 200, f"{number:04}"] for number in range(ROWS)
        )
    return path


def test_what_was_parsed_when_a_run_was_opened_is_what_it_plans(tmp_path, manifest):
    tree = {
        "name": "night",
        "catalogue": {"manifest": str(manifest)},
        "provider": {"kind": "local"},
        "dataset": {"url": str(tmp_path / "dataset")},
        "ledger": {"url": f"sqlite:///{tmp_path}/night.db"},
    }
    with open_run(build_settings(tree, tmp_path / "night.yaml")) as run:
        manifest.unlink()
        parsed = run.source.parsed
        folder = parsed.database.execute("SELECT path FROM duckdb_databases() WHERE path <> ''").fetchone()[0]
        assert run.plan() == ROWS
        (planned,) = run.ledger.tracks.next_planned(run.run_id, 1)
        assert planned.columns["catalogue_no"] == "0000"
        assert not (tmp_path / folder).exists()
