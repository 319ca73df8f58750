"""What a person calls a track: its title and artist where the manifest tells them, else the name of its file."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from stemline.manifest.location import URL_PATTERN

_FILE = re.compile(r"[^/]+\.[A-Za-z0-9]{1,5}")
_URL = re.compile(URL_PATTERN)
_UNSEEN = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069\ud800-\udfff]+")
"""What moves a cursor, breaks a line or turns text around, and has no place in a name."""
_LONGEST = 60


@dataclass(frozen=True, slots=True)
class TrackName:
    """A track's title and artist, as far as they are known."""

    title: str
    """Or the name of its file; empty where the manifest tells neither."""
    artist: str

    def words(self) -> str:
        """Give it on one line of a terminal: nothing in it moves the cursor, and none is long."""
        told = (_UNSEEN.sub(" ", each).strip() for each in (self.title, self.artist))
        return " · ".join(_shortened(each) for each in told if each)


def track_name(columns: Mapping[str, Any], location: str | None) -> TrackName:
    """Give the name of a track by the manifest's columns and its location."""
    return TrackName(told(columns, "title") or file_name(location or ""), told(columns, "artist"))


def told(columns: Mapping[str, Any], name: str) -> str:
    """Give what a column says of a track; empty where it says nothing."""
    value = columns.get(name)
    return "" if value is None else str(value).strip()


def file_name(location: str) -> str:
    """Give what a file is called, as the location writes it; nothing for a link that names no file."""
    if not _URL.match(location):
        return location.replace("\\", "/").rstrip("/").rpartition("/")[2]
    name = re.split(r"[?#]", location.partition("://")[2], maxsplit=1)[0]
    last = name.rpartition("/")[2] if "/" in name else ""
    return last if _FILE.fullmatch(last) else ""


def _shortened(name: str) -> str:
    return name if len(name) <= _LONGEST else f"{name[: _LONGEST - 1]}…"
