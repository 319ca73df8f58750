"""Where the sound of one stem is, as the tables tell it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from stemline.records import LINKED

STEM_COLUMNS = (
    "track_id",
    "stem",
    "provider",
    "recipe",
    "path",
    "format",
    "sample_rate",
    "channels",
    "frames",
    "size_bytes",
    "verification",
)
"""The columns of the stems table that a place is made of, of those a dataset has."""
ACTIVITY_COLUMNS = ("rms_dbfs", "byte_offset", "first_frame", "header_bytes")
"""Those of the activity table."""


class EmbeddedPlace(NamedTuple):
    """Where embedded audio is: a row of a part of the stems table."""

    part: str
    """Its key."""
    row: int


@dataclass(frozen=True, slots=True, eq=False)
class SecondPlaces:
    """Where the bytes of each second of a stem begin, and how loud it is; see `stemline.activity`."""

    rms_dbfs: NDArray[np.float32]
    byte_offset: NDArray[np.int64]
    first_frame: NDArray[np.int64]
    header_bytes: int


@dataclass(frozen=True, slots=True, eq=False)
class StemPlace:
    """One stem: a row of the stems table, with its row of the activity table where there is one."""

    track_id: str
    stem: str
    provider: str
    recipe: str
    path: str
    """Relative to the dataset; of what is linked, where it lies; empty where the audio is embedded."""
    format: str
    sample_rate: int | None
    """None of a linked mix that was not read, as the next three."""
    channels: int | None
    frames: int | None
    size_bytes: int | None
    is_linked: bool = False
    seconds: SecondPlaces | None = None
    """None: the stem is read whole."""
    embedded: EmbeddedPlace | None = None

    @property
    def name(self) -> str:
        """Give it as an error calls it."""
        return f"The stem {self.stem!r} of {self.track_id!r} ({self.provider}, {self.recipe})"


def stem_place(
    stem: Mapping[str, Any], activity: Mapping[str, Any] | None = None, embedded: EmbeddedPlace | None = None
) -> StemPlace:
    """Give the place of a stem by its rows of stems and activity; values are Python's, lists may be arrays."""
    return StemPlace(
        track_id=stem["track_id"],
        stem=stem["stem"],
        provider=stem["provider"],
        recipe=stem["recipe"],
        path=stem.get("path") or "",
        format=stem["format"],
        sample_rate=stem["sample_rate"],
        channels=stem["channels"],
        frames=stem["frames"],
        size_bytes=stem["size_bytes"],
        is_linked=LINKED in stem["verification"].split(","),
        seconds=None if activity is None else _second_places(activity),
        embedded=embedded,
    )


def _second_places(activity: Mapping[str, Any]) -> SecondPlaces | None:
    if activity["byte_offset"] is None or activity["header_bytes"] is None:
        return None
    return SecondPlaces(
        np.asarray(activity["rms_dbfs"], np.float32),
        np.asarray(activity["byte_offset"], np.int64),
        np.asarray(activity["first_frame"], np.int64),
        int(activity["header_bytes"]),
    )
