"""How long a track is by its stems, whatever anybody said of it."""

from __future__ import annotations

import pytest

from stemline.records import MIX, StemFile, audio_seconds


def stem(seconds: float, name: str = "vocals", audio_format: str = "flac", **facts: object) -> StemFile:
    given = {"sample_rate": 44_100, "channels": 2, "frames": round(seconds * 44_100), "size_bytes": 1} | facts
    return StemFile(
        stem=name,
        path="p",
        format=audio_format,
        duration_seconds=seconds,
        sha256=None,
        peak_dbfs=None,
        rms_dbfs=None,
        verification="ok",
        **given,
    )


@pytest.mark.parametrize(
    ("audio_format", "seconds", "known", "found"),
    [
        ("flac", 1.2, 215.0, 1.2),
        ("flac", 215.08, 215.0, 215.08),
        ("flac", 1.2, None, 1.2),
        ("mp3", 180.07, 180.0, 180.0),
        ("mp3", 180.2, 180.0, 180.2),
        ("mp3", 1.2, 215.0, 1.2),
    ],
)
def test_what_was_decoded_counts_but_for_what_a_lossy_encoder_adds(audio_format, seconds, known, found):
    shorter = stem(seconds - 0.05, "drums", audio_format)
    assert audio_seconds([shorter, stem(seconds, audio_format=audio_format)], known) == found


def test_a_mix_tells_nothing_of_the_stems_and_where_none_was_decoded_the_known_length_stands():
    unread = stem(215.0, MIX, frames=None)
    assert audio_seconds([unread, stem(1.2)], 215.0) == 1.2
    assert audio_seconds([unread], 3.0) == 3.0
    assert audio_seconds([], None) is None
