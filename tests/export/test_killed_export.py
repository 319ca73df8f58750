"""An export whose process is killed outright, and the command line that goes on with it."""

from __future__ import annotations

import signal
import subprocess
import sys
import time

import pytest
import yaml
from typer.testing import CliRunner

from stemline.cli.application import app

CHILD = """
import sys
from stemline.cli.application import app
from stemline.export.webdataset import WebDatasetForm
WebDatasetForm.shard_bytes = 1
app(["export", sys.argv[1], "--to", "webdataset", "--out", sys.argv[2]])
"""


@pytest.fixture
def config(catalogue, tmp_path):
    path = tmp_path / "stems.yaml"
    path.write_text(yaml.safe_dump(catalogue.settings.model_dump(mode="json", exclude_unset=True)))
    return path


def content(folder):
    return {path.name: path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}


def start(config, out):
    return subprocess.Popen([sys.executable, "-c", CHILD, config, out], stderr=subprocess.DEVNULL)


@pytest.mark.long
def test_killed_half_way_the_same_command_gives_the_same_bytes(catalogue, config, tmp_path):
    catalogue.publish(*(f"track{number:03}" for number in range(40)), split="train")
    assert start(config, tmp_path / "whole").wait(60) == 0
    child = start(config, tmp_path / "out")
    while len(list(tmp_path.glob("out/_export/shards/*.json"))) < 5:
        time.sleep(0.005)
    child.send_signal(signal.SIGKILL)
    assert child.wait(60) == -signal.SIGKILL
    assert not (tmp_path / "out" / "export.json").exists()
    done = {path.stem: path.stat().st_mtime_ns for path in tmp_path.glob("out/_export/shards/*.json")}
    before = {name: (tmp_path / "out" / f"{name}.tar").stat().st_mtime_ns for name in done}
    assert start(config, tmp_path / "out").wait(60) == 0
    assert content(tmp_path / "out") == content(tmp_path / "whole")
    assert {name: (tmp_path / "out" / f"{name}.tar").stat().st_mtime_ns for name in done} == before


def test_the_command_says_what_it_made_and_what_it_left_out(config, tmp_path):
    command = [
        "export",
        str(config),
        "--to",
        "webdataset",
        "--out",
        str(tmp_path / "out"),
        "--stems",
        "vocals",
    ]
    made = CliRunner().invoke(app, command)
    assert made.exit_code == 0, made.output
    assert "4 samples in 2 shards" in made.output
    again = CliRunner().invoke(app, command)
    assert again.exit_code == 0
    assert "nothing was done" in again.output
    next(tmp_path.glob("set/audio/*/emil/*/vocals.flac")).unlink()
    other = CliRunner().invoke(app, [*command[:-3], str(tmp_path / "other"), "--json"])
    assert other.exit_code == 3
    assert '"track_id": "emil"' in other.output
