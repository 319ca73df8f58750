"""The command line: its help, and what every command but `run` says and returns."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
import typer
from typer.testing import CliRunner

from stemline import __version__
from stemline.cli import app

STEMLINE = Path(sys.executable).with_name("stemline")
COMMANDS = sorted(typer.main.get_command(app).commands)


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_has_a_help_page(command):
    shown = CliRunner().invoke(app, [command, "--help"], env={"COLUMNS": "120"})
    assert shown.exit_code == 0
    assert "Usage:" in shown.output


def test_the_help_names_every_command():
    shown = CliRunner().invoke(app, ["--help"])
    assert shown.exit_code == 0
    assert all(command in shown.output for command in COMMANDS)


def test_the_installed_command_says_its_version(tmp_path):
    shown = subprocess.run(
        [STEMLINE, "--version"], cwd=tmp_path, capture_output=True, text=True, timeout=60, check=True
    )
    assert shown.stdout == f"{__version__}\n"


def test_an_unknown_option_is_usage(tmp_path):
    shown = CliRunner().invoke(app, ["run", str(tmp_path / "c.yaml"), "--paly"])
    assert shown.exit_code == 2
    assert "--paly" in shown.output


def test_serve_refuses_what_is_unsafe(tmp_path):
    done = subprocess.run(
        [STEMLINE, "serve", "--host", "0.0.0.0", "--folder", tmp_path],  # noqa: S104 - refused, which is the point
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 2
    assert "--key" in done.stderr
    assert "Traceback" not in done.stderr


def test_json_is_told_apart_from_text(tmp_path):
    done = subprocess.run(
        [STEMLINE, "status", tmp_path / "c.yaml", "--json"],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 2
    assert json.loads(done.stdout)["error"]["kind"] == "ConfigError"
