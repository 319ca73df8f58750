"""`catalogue.columns`: the manifest's columns by the names they have here."""

from __future__ import annotations

import difflib
from collections.abc import Mapping

MAPPED_COLUMNS = (
    *("uri", "track_id", "duration_seconds", "artist", "title", "album", "isrc"),
    *("released_on", "license", "ai_training", "split", "priority"),
)
"""Our names, which columns of a manifest may be given."""


class MappingError(ValueError):
    """A mapping that cannot be meant; `fix` says what to do."""

    def __init__(self, sentence: str, *, fix: str) -> None:
        """Say what is wrong and what to do."""
        super().__init__(sentence)
        self.fix = fix


def check_mapping(columns: Mapping[str, str]) -> None:
    """Raise MappingError for a name that is none of ours, and for two names of one column."""
    taken: dict[str, str] = {}
    for ours, theirs in columns.items():
        if ours not in MAPPED_COLUMNS:
            (nearest,) = difflib.get_close_matches(ours.lower(), MAPPED_COLUMNS, 1, 0.0)
            raise MappingError(
                f'"{ours}" is no column that a manifest\'s can be mapped to, the nearest is "{nearest}"',
                fix=f"Write each as `our name: the manifest's name`; ours are {', '.join(MAPPED_COLUMNS)}.",
            )
        key = column_key(theirs)
        if not key:
            raise MappingError(
                f'"{ours}" names no column of the manifest',
                fix=f"Write the manifest's name behind it, or take `{ours}` out of catalogue.columns.",
            )
        if key in taken:
            raise MappingError(
                f'"{taken[key]}" and "{ours}" both name the manifest\'s column "{theirs}"',
                fix="Keep one of them in catalogue.columns.",
            )
        taken[key] = ours


def column_key(name: str) -> str:
    """Give what a column's name is known by: case and the spaces around it do not matter."""
    return name.strip().lower()
