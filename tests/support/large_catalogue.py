"""Commands of the fork server that take any catalogue for a large one: they send what is next in line, then read it."""

from __future__ import annotations

from stemline.run import head_start

LARGE = "STEM_ALL_IS_LARGE"
"""The variable that says so to a command."""


def arm() -> None:
    """Have a second run plan two tracks, and read the manifest while they are sent."""
    head_start.WORTHWHILE, head_start.HEAD_TRACKS = 0, 2
