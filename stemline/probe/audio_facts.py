"""What a probe finds in an audio file, and the error for a file it cannot read."""

from __future__ import annotations

from dataclasses import dataclass

from stemline.errors import AudioRejected
from stemline.records import Code


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


def unreadable(location: str, reason: str) -> AudioRejected:
    """Give the error for bytes that are no audio we can read."""
    return AudioRejected(
        f'"{location}" is not readable audio: {reason}.',
        code=Code.UNREADABLE_AUDIO,
        fix="Replace the file or drop its row.",
    )
