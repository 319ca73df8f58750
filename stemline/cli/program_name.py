"""The word that this program is called by where the person stands, and sentences that name it so."""

from __future__ import annotations

import shlex
import shutil
import sys


def called_as() -> str:
    """Give the word that a person's shell knows this program by: its path, where its name alone is not found."""
    return "stemline" if shutil.which("stemline") else sys.argv[0]


def as_called(text: str) -> str:
    """Give a sentence in which our commands stand as they can be typed here."""
    return text.replace("`stemline ", f"`{shlex.quote(called_as())} ")
