"""Standard output and error as every terminal and pipe can take them: no blanks at a line's end, no letter too many."""

from __future__ import annotations

import codecs
import re
import sys
import unicodedata
from typing import IO, Any

GLYPHS = {"…": "...", "✓": "ok", "✗": "no", "→": "->", "·": "-", "█": "#", "━": "-", "—": "-"}
"""What stands for our own signs where an encoding has none of them."""
_HANDLER = "stemline.plain"
_BLANKS = re.compile(r"(?<! ) +(?=\n)")


def take_any_encoding() -> None:
    """Have what the terminal's encoding lacks be written as what it has: a title in Greek is no reason to stop."""
    codecs.register_error(_HANDLER, _plain)
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors=_HANDLER)


def _plain(error: UnicodeError) -> tuple[str, int]:
    if not isinstance(error, UnicodeEncodeError):
        raise error
    return "".join(map(_plain_letter, error.object[error.start : error.end])), error.end


def _plain_letter(letter: str) -> str:
    base = unicodedata.normalize("NFKD", letter).encode("ascii", "ignore").decode()
    return GLYPHS.get(letter) or base or "?"


class TrimmedLines:
    """A stream whose lines end where their text does: a table's last column is not padded."""

    def __init__(self, stream: IO[str]) -> None:
        self._stream = stream

    def write(self, text: str) -> int:
        """Write it without the blanks before its line ends."""
        self._stream.write(_BLANKS.sub("", text))
        return len(text)

    def __getattr__(self, name: str) -> Any:  # noqa: ANN401 - whatever a stream has
        """Give whatever else the stream has."""
        return getattr(self._stream, name)
