"""What a person reads on the terminal stays within its width."""

from __future__ import annotations

import pytest
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
