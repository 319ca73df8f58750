"""What is written reaches any terminal and any pipe: whatever its encoding, and without blanks at a line's end."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest
from rich.table import Table

from stemline.cli.console import Screen

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
