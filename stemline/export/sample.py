"""What is exported: tracks of a selection with their stems, and the samples that are made of them."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import pyarrow as pa

from stemline.dataset.paths import path_safe

STEM_TYPES = {
    "stem": pa.string(),
    "path": pa.string(),
    "format": pa.string(),
    "sample_rate": pa.int32(),
    "channels": pa.int32(),
    "frames": pa.int64(),
    "size_bytes": pa.int64(),
    "sha256": pa.string(),
    "rms_dbfs": pa.float64(),
    "peak_dbfs": pa.float64(),
    "silent_share": pa.float64(),
    "clipped_share": pa.float64(),
    "residual_db": pa.float64(),
}
"""The columns of the stems table that a `StemObject` is made of."""


@dataclass(frozen=True, slots=True)
class StemObject:
    """One stem of a track as the table of stems tells of it."""

    stem: str
    path: str | None
    """None: its audio is embedded in the table."""
    format: str
    sample_rate: int | None
    channels: int | None
    frames: int | None
    size_bytes: int | None
    sha256: str | None
    rms_dbfs: float | None = None
    peak_dbfs: float | None = None
    silent_share: float | None = None
    clipped_share: float | None = None
    residual_db: float | None = None


@dataclass(frozen=True, slots=True)
class ExportTrack:
    """A track of the selection, as one provider separated it by one recipe."""

    track_id: str
    split: str
    """As files and folders are named; `columns["split"]` has the table's own word."""
    columns: Mapping[str, Any]
    """Its metadata by column: those of the selection's `columns`."""
    stems: Mapping[str, StemObject]
    """Those that are exported, by name, in the selection's order."""

    @property
    def key(self) -> str:
        """A name for its files that no other track has: letters, digits, `_`, `-` and `=`, no dot."""
        return path_safe(self.track_id).replace(".", "=2E")


@dataclass(frozen=True, slots=True)
class StemSound:
    """The sound of one stem as a file's bytes."""

    data: bytes
    format: str
    """`flac`, `wav`, `mp3` …: the file's suffix."""
    sample_rate: int | None
    channels: int | None
    frames: int | None
    """None, as the two before, where the tables do not tell it and the bytes were copied as they are."""

    @property
    def seconds(self) -> float | None:
        """How long it is, where that is known."""
        return self.frames / self.sample_rate if self.frames is not None and self.sample_rate else None


@dataclass(frozen=True, slots=True)
class ExportSample:
    """One sample: a track, or one window of it, with the sound of its stems."""

    track: ExportTrack
    sounds: Mapping[str, StemSound]
    """By stem, all of one window and, where they were cut or resampled, of one length."""
    window: int | None = None
    """The number of the window in its track; None: the sample is the whole track."""
    start_seconds: float = 0.0
    seconds: float | None = None

    @property
    def key(self) -> str:
        """A name for its files that no other sample has: no dot, no slash."""
        return self.track.key if self.window is None else f"{self.track.key}=w{self.window:06}"

    @property
    def duration_seconds(self) -> float | None:
        """How long it is, by its longest stem."""
        if self.seconds is not None:
            return self.seconds
        lengths = [each.seconds for each in self.sounds.values() if each.seconds is not None]
        found: float | None = max(lengths, default=self.track.columns.get("duration_seconds"))
        return found

    @property
    def metadata(self) -> dict[str, Any]:
        """What a sample tells besides its sound, by column; values are Python's.

        The track's columns, and of a window where it lies.
        """
        if self.window is None:
            return dict(self.track.columns)
        place = {"window": self.window, "start_seconds": self.start_seconds, "seconds": self.seconds}
        return renamed(self.track.columns, place) | place

    def quality(self) -> Iterator[tuple[str, str, float | None]]:
        """Give stem, column and value of what was measured of each whole stem when it was verified."""
        for name, stem in self.track.stems.items():
            for column in QUALITY_COLUMNS:
                yield name, column, getattr(stem, column)


def renamed(told: Mapping[str, Any], taken: Collection[str]) -> dict[str, Any]:
    """Give facts by name, those that others have the names of by a free one."""
    names = free_names(told, taken)
    return {names[name]: value for name, value in told.items()}


def free_names(columns: Collection[str], taken: Collection[str]) -> dict[str, str]:
    """Give what carried columns are called beside those that have a name: as the tables do, `manifest_<name>`."""
    names = {}
    for column in columns:
        name = column
        while name in taken or (name != column and name in columns):
            name = f"manifest_{name}"
        names[column] = name
    return names


QUALITY_COLUMNS = ("rms_dbfs", "peak_dbfs", "silent_share", "clipped_share", "residual_db")


@dataclass(frozen=True, slots=True)
class LeftOut:
    """A track that was selected and is not in the export, and why."""

    track_id: str
    reason: str

    def as_tree(self) -> dict[str, str]:
        """Give it as records have it."""
        return {"track_id": self.track_id, "reason": self.reason}
