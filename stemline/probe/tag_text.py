"""What stands in tags, as a table can have it."""

from __future__ import annotations

import re
from contextlib import suppress

_LONGEST = 1_000
_LONGEST_LETTER = 4
"""In bytes of UTF-8."""
_ESCAPED_BYTE = re.compile("[\udc80-\udcff]")
_DAY = re.compile(r"(\d{4})([-/.]?)(\d\d)(?:\2(\d\d)(?:[T ].*)?)?")
_ISRC = re.compile(r"[A-Z]{2}-?[A-Z0-9]{3}-?\d{2}-?\d{5}")


def clean_text(text: str) -> str:
    """Give text on one line, without what cannot be shown.

    Bytes that are no UTF-8, which stand in it as `surrogateescape` has them, are read as Windows reads Latin-1: ID3v1
    is Latin-1 by its definition, and the programs that wrote RIFF tags wrote what Windows had.
    """
    if _ESCAPED_BYTE.search(text):
        text = _decoded(text.encode("utf-8", "surrogateescape"))
    return "".join(each for each in " ".join(text.split()) if each.isprintable())[:_LONGEST].strip("\ufffd ")


def _decoded(raw: bytes) -> str:
    """Give bytes that are no UTF-8 as text: as UTF-8 where only its last letter was cut off, else as cp1252."""
    for cut in range(1, _LONGEST_LETTER):
        with suppress(UnicodeDecodeError):
            whole = raw[:-cut].decode()
            if not whole.isascii():
                return whole
    return raw.decode("cp1252", "replace")


def written_day(text: str) -> str:
    """Give a day, month or year as ISO 8601 writes it; other text stays as it is.

    `20040512` and `2004/05/12` are days, `2004-00-00` is a year. Which of `05/12/2004` is the month, nobody can tell.
    """
    found = _DAY.fullmatch(text)
    if found is None or (not found[2] and found[4] is None):
        return text
    parts = [found[1], found[3], found[4] or "00"]
    return "-".join(parts[: parts.index("00")] if "00" in parts[1:] else parts)


def read_isrc(text: str) -> str:
    """Give the first ISRC that a text holds, as it stands there; the text where it holds none."""
    found = _ISRC.search(text.upper())
    return text[found.start() : found.end()] if found else text
