"""The help pages: examples that can be pasted, plain text at any width, no colour where none is wanted."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest
import typer
from typer.testing import CliRunner

from stemline.cli.application import app
from stemline.cli.examples import COMMAND_HELP, EPILOG

STEMLINE = Path(sys.executable).with_name("stemline")
ROOT = typer.main.get_command(app)
COMMANDS = ROOT.commands
EXAMPLES = [(name, example) for name, each in COMMAND_HELP.items() for example in each.examples]
CONTROL = re.compile(r"[\x00-\x09\x0b-\x1f\x7f]")


def words_of(example: str) -> list[str]:
    return shlex.split(example.replace("\\\n", " "))


@pytest.mark.parametrize(("name", "example"), EXAMPLES, ids=lambda value: value if " " in value else "")
def test_each_example_parses(name, example):
    program, command, *words = words_of(example)

    assert (program, command) == ("stemline", name)
    COMMANDS[command].make_context(command, words)


@pytest.mark.parametrize("line", [line for line in EPILOG.splitlines() if line.startswith("  stemline ")])
def test_each_example_of_the_whole_program_parses(line):
    _, command, *words = words_of(line)

    COMMANDS[command].make_context(command, words)


def test_each_command_has_examples_and_a_line_that_fits_a_narrow_terminal():
    assert COMMAND_HELP.keys() == COMMANDS.keys()
    for each in COMMAND_HELP.values():
        assert 2 <= len(each.examples) <= 3
        assert len(each.summary) <= 45, each.summary


@pytest.mark.parametrize("width", [60, 80])
@pytest.mark.parametrize("command", ["", *sorted(COMMANDS)])
def test_help_fits_the_terminal_and_cuts_nothing_off(command, width):
    page = COMMANDS[command] if command else ROOT
    shown = page.get_help(typer.Context(page, info_name=f"stemline {command}", terminal_width=width))

    assert CONTROL.findall(shown) == []
    assert "…" not in re.sub(r"(NAME|SPDX),…", "", shown)
    assert "..." not in shown.replace("[ARGS]...", "")
    too_long = [line.strip() for line in shown.splitlines() if len(line) > width]
    assert [line for line in too_long if not line.startswith("--youtube-outputs-in-create /")] == []


@pytest.mark.parametrize("words", [[], ["run"]])
def test_h_is_help(words):
    short, long = (CliRunner().invoke(app, [*words, option]) for option in ("-h", "--help"))

    assert short.exit_code == 0
    assert short.output == long.output
    assert "-h, --help" in short.output


@pytest.mark.parametrize(
    "environment",
    [{"NO_COLOR": "1", "TERM": "xterm-256color"}, {"TERM": "dumb"}, {}],
    ids=["no colour", "dumb", "pipe"],
)
@pytest.mark.long
def test_an_error_has_no_control_characters_in_a_pipe(tmp_path, environment):
    long = tmp_path / ("a long folder name " * 6) / "night.yaml"
    clean = {name: value for name, value in os.environ.items() if name not in {"FORCE_COLOR", "NO_COLOR"}}

    done = subprocess.run(
        [STEMLINE, "status", long],
        env={**clean, **environment},
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )

    assert done.returncode == 2
    assert CONTROL.findall(done.stderr) == []
    assert str(long) in done.stderr, "a path is whole in a pipe, however long"
