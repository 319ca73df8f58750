"""What a person reads on the terminal stays within its width."""

from __future__ import annotations

from stemline.cli.console import Screen
from stemline.errors import UsageError

WIDTH = 80


def test_an_error_is_broken_with_the_word_before_it(monkeypatch, capsys):
    monkeypatch.setenv("COLUMNS", str(WIDTH))
    words = "word " * 40

    Screen(is_json=False).show_error(UsageError(words, fix=words))

    shown = capsys.readouterr().err.splitlines()
    assert [line for line in shown if len(line) > WIDTH] == []
    assert shown[0].startswith("Error: word word")
    assert any(line.startswith("Fix: word word") for line in shown)
