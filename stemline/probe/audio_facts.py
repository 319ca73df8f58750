"""What a probe finds in an audio file, and the error for a file it cannot read."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from stemline.errors import AudioRejected
from stemline.records import Code

GUESSED = "guessed"
"""The column that names those of a row's columns that were guessed, as `title,artist`."""
TAG_COLUMNS = ("artist", "title", "album", "isrc", "released_on", GUESSED)
"""The columns that a file's tags may fill, and what says that its name did."""


@dataclass(frozen=True, slots=True)
class AudioFacts:
    """An audio file as its container describes it."""

    duration_seconds: float
    sample_rate: int
    channels: int
    codec: str
    size_bytes: int
    is_exact: bool
    """The samples are counted; False: counted in packets or time stamps, up to a few frames too long."""
    tags: Mapping[str, str] = field(default_factory=dict, hash=False)
    """Where they were asked for: what the file says of itself, by the names of the manifest's columns."""


def unreadable(location: str, reason: str) -> AudioRejected:
    """Give the error for bytes that are no audio we can read."""
    return AudioRejected(
        f'"{location}" is not readable audio: {reason}.',
        code=Code.UNREADABLE_AUDIO,
        fix="Replace the file or drop its row.",
    )
