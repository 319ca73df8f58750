"""`catalogue.root`: the folder that a manifest's files must lie in, whatever its rows name."""

from __future__ import annotations

import os

from stemline.errors import ManifestError, TrackRefused
from stemline.manifest.location import LocationKind, location_kind
from stemline.manifest.windows_path import is_windows_path
from stemline.records import Code

_REMOTE = frozenset({"s3", "s3a", "gs", "gcs", "az", "abfs", "abfss", "adl", "oss", "oci", "hf"})
"""Stores that read nothing of this machine; others, such as an archive or a cache, may be made of its files."""


class Fence:
    """Tells files within a folder from others; links lead where they lead."""

    def __init__(self, root: str) -> None:
        """Take the folder as it is now; raises ManifestError where there is none."""
        self.root = os.path.realpath(root)
        if not os.path.isdir(self.root):  # noqa: PTH112 - text in, text out
            is_windows = is_windows_path(root)
            raise ManifestError(
                f'catalogue.root "{root}" is no folder{" of this machine" if is_windows else ""}.',
                fix="It is a path of a Windows machine: write where the folder lies on this one."
                if is_windows
                else "Correct it in the config.",
            )
        self._inside = self.root.rstrip("/") + "/"

    def check(self, location: str) -> None:
        """Refuse a whole location that is no file within the folder and nothing remote.

        Raises TrackRefused (`bad_location`).
        """
        if location.startswith("/"):
            there = os.path.realpath(location)
            if not there.startswith(self._inside):
                leads = f', for it leads to "{there}"' if there != location else ""
                raise _outside(location, f"lies outside of catalogue.root{leads}", self.root)
        elif not _is_remote(location):
            raise _outside(location, "may lead to any file of this machine", self.root)


def _is_remote(location: str) -> bool:
    scheme = location.split("://", 1)[0].lower()
    return scheme in _REMOTE or location_kind(location) in (LocationKind.HTTP, LocationKind.YOUTUBE)


def _outside(location: str, what: str, root: str) -> TrackRefused:
    shown = location.encode(errors="backslashreplace").decode()
    return TrackRefused(
        f'the location "{shown}" {what}.',
        code=Code.BAD_LOCATION,
        fix=f'Move the file into "{root}", or change catalogue.root.',
    )
