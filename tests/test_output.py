"""What is written reaches any terminal and any pipe: whatever its encoding, and without blanks at a line's end."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest
from rich.table import Table

from stemline.cli.console import Screen
from stemline.wording import rejected_row_line

SHOWN = "import sys; from stemline.cli.output import take_any_encoding; take_any_encoding(); print({!r})"


@pytest.mark.parametrize(
    ("encoding", "told", "written"),
    [
        ("ascii", "✓ Beyoncé … Ελλάδα", "ok Beyonce ... ??????"),
        ("latin-1", "✓ Beyoncé …", "ok Beyoncé ..."),
        ("utf-8", "✓ Beyoncé …", "✓ Beyoncé …"),
        ("utf-8", "a\udcff.mp3", "a?.mp3"),
    ],
)
def test_a_letter_that_the_encoding_lacks_ends_nothing(encoding, told, written):
    environment = {**os.environ, "PYTHONIOENCODING": encoding}
    program = [sys.executable, "-c", SHOWN.format(told)]

    ended = subprocess.run(program, env=environment, capture_output=True, check=False)

    assert (ended.returncode, ended.stderr) == (0, b"")
    assert ended.stdout.decode(encoding) == written + "\n"


def test_a_table_in_a_pipe_has_no_blanks_at_the_end_of_a_line(capsys):
    table = Table(show_header=False, box=None, padding=(0, 2, 0, 0))
    table.add_row("published", "12", "in the dataset")
    table.add_row("held", "1", "no")

    Screen(is_json=False).out.print(table)

    assert capsys.readouterr().out == "published  12  in the dataset\nheld       1   no\n"


def test_a_value_of_a_million_blanks_is_written_at_once(capsys):
    """To begin anew at each blank takes many minutes."""
    Screen(is_json=False).out.print("a" + " " * 1_000_000 + "z  \n", soft_wrap=True)

    assert capsys.readouterr().out == "a" + " " * 1_000_000 + "z\n\n"


def test_of_a_rejected_row_with_a_value_of_many_pages_the_beginning_and_the_end_are_shown():
    sentence = 'The location "' + "-" * 300_000 + '" is too long. Mend it.'

    line = rejected_row_line(1_204, "bad_location", sentence)

    assert line.startswith('row 1,204: bad_location: The location "---')
    assert line.endswith('---" is too long. Mend it.')
    assert len(line) < 700
    assert rejected_row_line(3, "silent", "It is silent.") == "row 3: silent: It is silent."
