"""Where a catalogue's sources lie together: in the dataset they are named from there, and no home directory is told."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from typing import Self

from stemline.manifest.location import URL_PATTERN

_ABSOLUTE = re.compile(rf"/|(?i:file:/)|{URL_PATTERN}")


@dataclass(frozen=True, slots=True)
class SourceRoot:
    """A folder or prefix, and locations as they are called from there."""

    place: str = ""
    """Ends with a slash; empty: nowhere, and every location is told whole."""

    @classmethod
    def of_folder(cls, folder: str) -> Self:
        """Give a folder of this machine."""
        return cls(os.path.abspath(folder).rstrip("/") + "/")  # noqa: PTH100 - text in, text out

    def relative(self, location: str) -> str:
        """Give a location as it is called from here; one that lies elsewhere stays as it is."""
        rest = self._below(location)
        if not rest:
            return location
        # So that whoever reads it does not take it for a whole one: a folder may be called `http:`.
        return f"./{rest}" if _ABSOLUTE.match(rest) or rest.startswith("./") else rest

    def absolute(self, source_uri: str) -> str:
        """Give the location that `relative` made a source URI of."""
        is_whole = not self.place or _ABSOLUTE.match(source_uri)
        return source_uri if is_whole else self.place + source_uri.removeprefix("./")

    def shorten(self, text: str) -> str:
        """Give a text with the locations in it as they are called from here; no link is looked at."""
        return text.replace(self.place, "") if self.place.strip("/") else text

    def _below(self, location: str) -> str:
        if not self.place:
            return ""
        if location.startswith(self.place):
            return location.removeprefix(self.place)
        if not (location.startswith("/") and self.place.startswith("/")):
            return ""
        # Another name of a folder within: links lead where they lead.
        there, inside = os.path.realpath(location), os.path.realpath(self.place).rstrip("/") + "/"
        return there.removeprefix(inside) if there.startswith(inside) else ""


NOWHERE = SourceRoot()
"""For who has no catalogue at hand."""
