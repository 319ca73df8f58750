"""One collected track as rows of the two tables."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, fields
from datetime import UTC, date, datetime
from typing import Any

from stemline.dataset.layout import DatasetLayout
from stemline.dataset.rights_columns import rights_cells
from stemline.dataset.table_schemas import MANIFEST_COLUMNS, carried_columns
from stemline.records import MIX, Attempt, CollectedTrack, Job, StemFile, audio_seconds

Rows = list[dict[str, Any]]
_WHOLE_YEAR = re.compile(r"(?<=^\d{4})\.0+$", re.ASCII)
STEM_FIELDS = tuple(field.name for field in fields(StemFile))


@dataclass(frozen=True, slots=True)
class PublishedRow:
    """A collected track with all that its rows are made of."""

    attempt: Attempt
    job: Job
    collected: CollectedTrack
    source_sha256: str | None = None
    credits_charged: int | None = None
    """As the ledger has booked it; None: nobody has, and the job's word counts."""
    split: str | None = None
    """Overrides the manifest's own `split`."""


@dataclass(frozen=True, slots=True)
class TableRows:
    """A track's row of the tracks table and its rows of the stems table, sorted by stem."""

    track: dict[str, Any]
    stems: Rows


def table_rows(row: PublishedRow, run_id: str, layout: DatasetLayout) -> TableRows:
    """Give a collected track as the tables have it; the days are UTC days."""
    track = _track_row(row, run_id, layout)
    shared = {name: track[name] for name in layout.partition_by} | {
        "track_id": track["track_id"],
        "provider": track["provider"],
        "recipe": row.attempt.recipe.name,
        "run_id": run_id,
        "collected_on": track["collected_on"],
    }
    stems = sorted(row.collected.stems, key=lambda stem: stem.stem)
    return TableRows(track, [shared | _stem_cells(stem, row, layout) for stem in stems])


def _stem_cells(stem: StemFile, row: PublishedRow, layout: DatasetLayout) -> dict[str, Any]:
    """Give a stem's own cells; a mix is held against what was uploaded, where that is known."""
    # Not `asdict`, which copies every value and takes as long as all the rest.
    cells, uploaded = {name: getattr(stem, name) for name in STEM_FIELDS}, row.source_sha256
    if stem.is_linked:
        cells |= {"path": layout.source_root.relative(stem.path), "sha256": stem.sha256 or uploaded}
    if stem.stem == MIX and uploaded is not None and cells["sha256"] != uploaded:
        words = "" if stem.verification == "ok" else f"{stem.verification},"
        cells["verification"] = f"{words}changed"
    return cells


def _track_row(row: PublishedRow, run_id: str, layout: DatasetLayout) -> dict[str, Any]:
    attempt, collected = row.attempt, row.collected
    collected_at = collected.collected_at.astimezone(UTC)
    given = manifest_cells(attempt, row.job, layout)
    return {
        **given,
        "track_id": attempt.track.track_id,
        "provider": attempt.provider,
        "stems": attempt.recipe.stems,
        "quality": attempt.recipe.quality,
        "format": attempt.recipe.format,
        "recipe": attempt.recipe.name,
        "bpm": collected.bpm,
        "key": collected.key,
        "bpm_source": collected.bpm_source,
        "key_source": collected.key_source,
        "duration_seconds": _duration_seconds(row),
        "credits_charged": row.job.credits_charged if row.credits_charged is None else row.credits_charged,
        "job_id": row.job.job_id,
        "attempt_token": attempt.token,
        "source_uri": layout.source_root.relative(attempt.track.location),
        "source_sha256": row.source_sha256,
        "split": row.split or given["split"],
        "run_id": run_id,
        "collected_at": collected_at,
        "collected_on": collected_at.date(),
    }


def manifest_cells(attempt: Attempt, job: Job, layout: DatasetLayout) -> dict[str, Any]:
    """Give the columns of a track's row that its manifest fills; where it has no title or artist, the provider does."""
    columns = attempt.track.columns
    carried = carried_columns(layout.carried, layout.partition_by)
    given = _manifest_columns({"title": job.title, "artist": job.artist} | _filled(columns))
    cells = {column: columns.get(name) for name, column in carried.items()}
    return cells | given | rights_cells(columns)


def _filled(columns: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in columns.items() if value is not None}


def _duration_seconds(row: PublishedRow) -> float | None:
    """Give the length of what was decoded, else as it was probed or given, else as the provider saw it."""
    if row.collected.duration_seconds is not None:
        return row.collected.duration_seconds
    lengths = (row.attempt.track.duration_seconds, row.job.duration_seconds)
    return audio_seconds(row.collected.stems, next((each for each in lengths if each is not None), None))


def _manifest_columns(columns: Mapping[str, Any]) -> dict[str, Any]:
    """Give our own columns that the manifest fills: text as text, `released_on` as a day."""
    found = {name: columns.get(name) for name in MANIFEST_COLUMNS}
    return {
        name: read_day(value) if name == "released_on" else None if value is None else str(value)
        for name, value in found.items()
    }


def read_day(value: object) -> date | None:
    """Give a day for a date, an instant or ISO text; a bare year or month is its first day, nonsense None."""
    if isinstance(value, datetime):
        return value.date()
    if isinstance(value, date):
        return value
    text = "" if value is None else str(value)
    try:
        return date.fromisoformat(first_day(text)[:10])
    except ValueError:
        return None


def first_day(text: str) -> str:
    """Give a bare year or month in ISO form as its first day; other text stays as it is.

    A year may be written as a table of figures does that has gaps: `2024.0`.
    """
    text = _WHOLE_YEAR.sub("", text)
    return text + {4: "-01-01", 7: "-01"}.get(len(text), "")
