"""The source of a track, where this worker has it: what its stems should add up to."""

from __future__ import annotations

from pathlib import Path

from stemline.collector.mixture import Mono, residual_db
from stemline.errors import AudioRejected
from stemline.records import ReadyTrack
from stemline.verify import Measured

_LEAST_RESIDUAL_DB = -10.0
"""Stems from mp3 leave -18 dB of the source at most; when one of four is silent or strange it is above -6."""


def local_source(ready: ReadyTrack) -> Path | None:
    """Give the track's source where this worker has it as a file and the stems should add up to it."""
    path = Path(ready.attempt.track.location)
    is_whole = len(ready.attempt.recipe.stem_names) > 1
    return path if is_whole and path.is_absolute() and path.is_file() else None


def compare_with_source(
    measured: dict[str, Measured], source: Path | None, mixed: Mono
) -> dict[str, Measured]:
    """Give the measures with the warning `residual` when the stems do not add up to their source.

    A warning only: nobody promises that separated stems add up, and it does not tell which one is wrong.
    """
    try:
        residual = None if source is None else residual_db(source, mixed)
    except AudioRejected:  # what the provider could read and we cannot is no fault of the stems
        return measured
    if residual is None or residual < _LEAST_RESIDUAL_DB:
        return measured
    return {stem: measures.with_warning("residual") for stem, measures in measured.items()}
