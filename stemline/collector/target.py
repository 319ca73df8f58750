"""What collecting takes and gives: where the stems go, and what came of each track."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Literal

from stemline.records import CollectedTrack, Failure


@dataclass(frozen=True, slots=True)
class CollectTarget:
    """Where collected stems go and how hard to work; picklable."""

    url: str
    storage_options: dict[str, Any] = field(default_factory=dict, repr=False)
    audio: Literal["objects", "embedded"] = "objects"
    tolerance_seconds: float = 1.0
    """How far a stem's length may be from its source's, which manifests round to whole seconds."""
    mix: Literal["none", "copy", "link"] = "none"
    """Whether the source is kept beside the stems, or named there."""
    source_options: dict[str, Any] = field(default_factory=dict, repr=False)
    """What fsspec needs to read sources."""
    spool: str | None = None
    """The folder for downloads on their way; None: the system's temporary one."""
    concurrency: int = 4
    """How many tracks are downloaded at once."""


@dataclass(frozen=True, slots=True)
class Relink:
    """A track whose links no longer work: fresh ones are needed, and nothing was lost."""

    token: str
    sentence: str
    is_gone: bool = False
    """A link was right, and nothing was there."""


CollectResult = CollectedTrack | Failure | Relink
