"""What a person reads on the terminal stays within its width."""

from __future__ import annotations

import sys

import pytest
from rich.table import Table
from rich.text import Text

from stemline.cli.console import Screen
from stemline.errors import UsageError


@pytest.fixture(params=[80, 60])
def width(request, monkeypatch):
    """The width of a terminal that people read."""
    monkeypatch.setenv("COLUMNS", str(request.param))
    monkeypatch.setenv("FORCE_COLOR", "1")
    return request.param


def plain(text: str) -> str:
    return Text.from_ansi(text).plain


def test_an_error_is_broken_with_the_word_before_it(width, capsys):
    words = ("word " * 40).rstrip()

    Screen(is_json=False).show_error(UsageError(words, fix=words))

    shown = plain(capsys.readouterr().err).splitlines()
    assert [line for line in shown if len(line) > width] == []
    assert shown[0].startswith("Error: word word")
    assert any(line.startswith("Fix: word word") for line in shown)


def test_where_no_person_reads_no_line_is_broken(monkeypatch, capsys):
    monkeypatch.setenv("COLUMNS", "80")
    words = ("word " * 40).rstrip()

    Screen(is_json=False).show_error(UsageError(words))

    assert capsys.readouterr().err == f"Error: {words}\n"


def test_a_command_in_any_sentence_is_called_as_the_shell_knows_it(monkeypatch, capsys):
    monkeypatch.setenv("PATH", "/nowhere")
    monkeypatch.setattr(sys, "argv", ["my venv/bin/stemline", "status"])
    table = Table(show_header=False, box=None)
    table.add_row("`stemline in-a-table`")
    screen = Screen(is_json=False)
    screen.out.print(table)
    screen.out.print("[bold]cut off[/]; `stemline run` goes on from there")
    screen.tell_fact("fact", "`stemline fact`")
    screen.note("`stemline note`")
    screen.show_error(UsageError("`stemline wrong`.", fix="Run `stemline adopt CONFIG`."))
    shown = "".join(capsys.readouterr())
    assert shown.count("`stemline") == 0
    assert shown.count("`'my venv/bin/stemline' ") == 6
