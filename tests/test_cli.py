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
from stemline.cli.application import app
from stemline.cli.program_name import called_as
from stemline.errors import UsageError

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


@pytest.mark.long
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


@pytest.mark.long
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


@pytest.mark.parametrize(
    "words", [("--log-format", "json"), ("--log-format=JSON",), ("--json", "--log-format", "json")]
)
@pytest.mark.long
def test_an_unknown_option_is_json_where_lines_are(tmp_path, words):
    done = subprocess.run(
        [STEMLINE, "run", tmp_path / "c.yaml", "--paly", *words],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 2
    [line] = done.stderr.splitlines()
    assert "--paly" in json.loads(line)["message"]
    assert ("--paly" in done.stdout) == ("--json" in words)


def test_what_one_command_alone_needs_is_not_imported_for_all():
    """Every command, `--help` among them, would wait for it."""
    alone = {"stemline.demo", "stemline.doctor", "stemline_local.server", "prefect", "pandas"}
    program = "import sys, stemline.cli; print(*sys.modules)"
    shown = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, timeout=60, check=True
    )
    assert alone.isdisjoint(shown.stdout.split())


def test_a_track_is_resolved_in_one_way(tmp_path):
    config = tmp_path / "c.yaml"
    config.write_text(
        "{catalogue: {manifest: c.csv}, provider: {kind: local}, dataset: {url: dataset}}", encoding="utf-8"
    )
    with pytest.raises(UsageError, match="one way"):
        CliRunner().invoke(
            app, ["resolve", str(config), "t1", "--resubmit", "--abandon"], catch_exceptions=False
        )


@pytest.mark.parametrize("argv", [["status", "--watch"], ["redrive"], ["resolve", "t1"]])
def test_before_the_first_run_there_is_nothing(tmp_path, argv):
    config = tmp_path / "c.yaml"
    tree = f"ledger: {{url: 'sqlite:///{tmp_path}/l.db'}}, dataset: {{url: dataset}}"
    config.write_text(f"{{catalogue: {{manifest: c.csv}}, provider: {{kind: local}}, {tree}}}")
    with pytest.raises(UsageError, match="Nothing has run"):
        CliRunner().invoke(app, [argv[0], str(config), *argv[1:]], catch_exceptions=False)
    assert not (tmp_path / "l.db").exists()


@pytest.mark.parametrize("words", [("demo", "--folder"), ("serve", "--port", "0", "--folder")])
def test_a_folder_that_cannot_be_made_is_told(tmp_path, words):
    taken = tmp_path / "taken"
    taken.write_text("a file")

    done = subprocess.run(
        [STEMLINE, *words, taken], cwd=tmp_path, capture_output=True, text=True, timeout=60, check=False
    )

    assert done.returncode == 2
    assert f"{taken} cannot be made" in " ".join(done.stderr.split())
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize(
    ("folder", "word"), [(STEMLINE.parent, "stemline"), ("/nowhere", ".venv/bin/stemline")]
)
def test_a_command_to_try_next_is_one_that_the_shell_finds(folder, word, monkeypatch):
    monkeypatch.setenv("PATH", str(folder))
    monkeypatch.setattr(sys, "argv", [".venv/bin/stemline", "demo"])
    assert called_as() == word
