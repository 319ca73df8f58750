"""The budget's limits, changed in the configuration while a run goes on."""

from __future__ import annotations

import os

import pytest
import yaml

from stemline.budget import Limits
from stemline.run.limits import LiveBudget
from stemline.settings import build_settings, load_settings

TREE = {
    "catalogue": {"manifest": "songs.csv"},
    "provider": {"kind": "local"},
    "dataset": {"url": "dataset"},
    "budget": {"run": 100, "day": 500},
}


@pytest.fixture
def config(tmp_path):
    return write(tmp_path / "night.yaml", run=100, day=500)


def write(path, **budget):
    earlier = path.stat().st_mtime_ns if path.exists() else 0
    path.write_text(yaml.safe_dump({**TREE, "budget": budget}))
    os.utime(path, ns=(earlier + 1, earlier + 1))  # two writes within one tick of the file system's clock
    return path


def test_a_changed_file_holds_from_the_next_reading_on(config):
    budget = LiveBudget(load_settings(config))
    assert budget() == Limits(run=100, day=500)
    write(config, run=40, floor=7)
    assert budget() == Limits(run=40, floor=7)


def test_overrides_stay_in_force(config):
    budget = LiveBudget(load_settings(config, ["budget.run=9"]))
    write(config, run=40, day=30)
    assert budget() == Limits(run=9, day=30)


def test_a_file_that_is_wrong_or_gone_changes_nothing(config, caplog):
    budget = LiveBudget(load_settings(config))
    write(config, run="many")
    assert budget() == Limits(run=100, day=500)
    assert "budget.run" in caplog.text
    config.unlink()
    assert budget() == Limits(run=100, day=500)
    write(config, run=40)
    assert budget() == Limits(run=40)


def test_settings_that_come_from_no_file_stay_as_they_are(config):
    budget = LiveBudget(build_settings(TREE, config))
    write(config, run=1)
    assert budget() == Limits(run=100, day=500)
