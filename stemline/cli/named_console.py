"""A console on which commands are called as the person's shell knows them."""

from __future__ import annotations

from typing import Any

from rich.console import Console
from rich.text import Text

from stemline.cli.program_name import as_called


class NamedConsole(Console):
    """Has every text of ours, in tables as well, name this program by the word that it was called by."""

    def render_str(self, text: str, **options: Any) -> Text:  # noqa: ANN401 - as rich has them
        """Give a text to be shown."""
        return super().render_str(as_called(text), **options)
