"""The terminal: notes to stderr, results to stdout, a spinner, a question."""

from __future__ import annotations

import sys
import textwrap
from collections.abc import Iterator
from contextlib import contextmanager
from typing import IO, TYPE_CHECKING, cast

from stemline.cli.output import TrimmedLines
from stemline.cli.program_name import as_called
from stemline.errors import StemlineError, UsageError
from stemline.logs import LogFormat, LogLines, logger, present_format

if TYPE_CHECKING:
    from rich.console import Console

    from stemline.settings import Settings

LABEL = 10
"""How wide the words are that lines of a result begin with."""


class Screen:
    """The terminal: notes go to stderr, so that stdout is left for the result."""

    def __init__(self, *, is_json: bool) -> None:
        """With `is_json` stdout gets one JSON object and nothing else."""
        from rich.console import Console

        self.is_json = is_json
        self._is_logging = present_format() is LogFormat.JSON
        # As log lines nothing is drawn, coloured or broken in two.
        self.notes = (
            Console(file=cast("IO[str]", LogLines()), force_terminal=False, highlight=False, soft_wrap=True)
            if self._is_logging
            else _console(is_stderr=True)
        )
        self.out = _console(is_stderr=False)

    @property
    def is_redrawing(self) -> bool:
        """Whether notes may be redrawn in place: on a terminal that can move its cursor."""
        return self.notes.is_terminal and not self.notes.is_dumb_terminal

    def note(self, text: str) -> None:
        """Say something that is not the result."""
        self.notes.print(text, markup=False)

    def show_error(self, error: StemlineError) -> None:
        """Say what went wrong and what to do."""
        if self._is_logging:
            logger.error("%s", error)
            return
        self.note_after("Error:", error.message, style="bold red")
        if error.fix:
            self.note_after("Fix:", error.fix, style="bold")

    def note_after(self, lead: str, text: str, *, style: str) -> None:
        """Say something after a word in that style, broken together: both have to fit the lines."""
        from rich.text import Text

        self.notes.print(Text.assemble((lead, style), " ", as_called(text)))

    def tell(self, lead: str, text: str, *, style: str) -> None:
        """Give a sentence of the result after a word in that style."""
        from rich.text import Text

        self.out.print(Text.assemble((lead, style), " ", as_called(text)))

    def tell_fact(self, label: str, text: str, *, style: str = "") -> None:
        """Give a line of the result behind its label; where it is broken, it goes on below itself."""
        self._tell_behind(f"{label:{LABEL}}", text, style=style)

    def tell_verdict(self, name: str, text: str, *, is_good: bool) -> None:
        """Give a check's verdict; where its sentence is broken, it goes on below itself."""
        mark, style = ("✓", "green") if is_good else ("✗", "red")
        self.out.print(mark, style=style, end=" ")
        self._tell_behind(f"{name:{LABEL}} ", text, 2)

    def _tell_behind(self, label: str, text: str, already: int = 0, *, style: str = "") -> None:
        """Print a text behind a label, before which so many columns are taken."""
        text = as_called(text)
        lines, indent = [text], already + len(label)
        if self.out.is_terminal:
            width = max(20, self.out.width - indent)
            lines = textwrap.wrap(text, width, break_long_words=False, break_on_hyphens=False) or [""]
        told = f"\n{'':{indent}}".join(lines)
        self.out.print(f"{label}{told}", markup=False, style=style, soft_wrap=True)

    def tell_path(self, label: str, path: str) -> None:
        """Give a path or URL of the result behind its label, never broken: it is copied."""
        self.out.print(f"{label:{LABEL}}{path}", markup=False, soft_wrap=True)


@contextmanager
def spinner(screen: Screen, text: str) -> Iterator[None]:
    """Show that something takes a while."""
    if screen.is_redrawing:
        with screen.notes.status(text):
            yield
    else:
        screen.note(f"{text} …")
        yield


def _console(*, is_stderr: bool) -> Console:
    """Give a console that breaks lines between words on a terminal, and nowhere else: a program reads whole ones."""
    from stemline.cli.named_console import NamedConsole

    console = NamedConsole(stderr=is_stderr, highlight=False)
    if not console.is_terminal:
        console.soft_wrap = True
        console.file = cast("IO[str]", TrimmedLines(sys.stderr if is_stderr else sys.stdout))
    return console


def require_somebody_to_ask(screen: Screen, settings: Settings) -> None:
    """Raise UsageError where nobody can be asked whether to spend: silence is no consent.

    What is wrong with the configuration comes first: there is nothing to agree to.
    """
    from stemline.run.access import check_access

    check_access(settings)
    provider = settings.provider.kind
    if screen.is_json or not sys.stdin.isatty():
        raise UsageError(
            f"This spends credits with {provider}, and there is nobody to ask whether it may.",
            fix="Add --yes to spend without being asked.",
        )


def confirm(question: str) -> bool:
    """Ask a person."""
    return input(f"{question} [y/N] ").strip().lower() in {"y", "yes"}
