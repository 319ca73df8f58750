"""Records read from the ledger's rows and rows written from records."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields, replace
from datetime import datetime
from typing import Any

from sqlalchemy import Select, select

from stemline.ledger.cell import dump_cells, load_cells
from stemline.ledger.tables import SAME_TRACK, Cells, attempts, tracks
from stemline.records import (
    LINKED,
    Attempt,
    Code,
    CollectedTrack,
    Job,
    Phase,
    Recipe,
    Reject,
    State,
    StemFile,
    Track,
)

_MAY_LACK = frozenset(field.name for field in fields(StemFile) if field.default is None)


@dataclass(frozen=True, slots=True)
class RunRecord:
    """One execution over a manifest, as the ledger remembers it."""

    run_id: str
    name: str
    provider: str
    recipe: Recipe
    config_digest: str
    key_id: str | None
    started_at: datetime
    finished_at: datetime | None
    exit_code: int | None
    totals: dict[str, Any]


@dataclass(frozen=True, slots=True)
class TrackStatus:
    """Where one track stands, for reports and lists."""

    track_id: str
    location: str
    position: int
    state: State
    code: Code
    sentence: str
    is_retryable: bool
    failures: int
    columns: Mapping[str, Any]
    """As the manifest has them."""


@dataclass(frozen=True, slots=True)
class BatchRow:
    """All that the dataset writes about one collected track."""

    run_id: str
    attempt: Attempt
    job: Job
    collected: CollectedTrack
    credits_charged: int
    source_sha256: str | None


def recipe_from_name(name: str) -> Recipe:
    """Give the recipe whose `name` this is."""
    stems, quality, audio_format = name.split("-")
    return Recipe(stems, quality, audio_format)


def run_from_row(row: Cells) -> RunRecord:
    """Give a run."""
    return RunRecord(
        **{name: row[name] for name in ("run_id", "name", "provider", "config_digest", "key_id")},
        recipe=recipe_from_name(row["recipe"]),
        started_at=row["started_at"],
        finished_at=row["finished_at"],
        exit_code=row["exit_code"],
        totals=json.loads(row["totals"] or "{}"),
    )


def track_cells(track: Track) -> dict[str, Any]:
    """Give the columns of `tracks` that a manifest row fills."""
    return {
        "track_id": track.track_id,
        "location": track.location,
        "position": track.position,
        "priority": track.priority,
        "duration_seconds": track.duration_seconds,
        "size_bytes": track.size_bytes,
        "credits": track.credits,
        "columns": dump_cells(track.columns),
    }


def track_from_row(row: Cells) -> Track:
    """Give a track."""
    return Track(
        track_id=row["track_id"],
        location=row["location"],
        position=row["position"],
        priority=row["priority"],
        duration_seconds=row["duration_seconds"],
        size_bytes=row["size_bytes"],
        columns=load_cells(row["columns"]),
    )


def status_from_row(row: Cells) -> TrackStatus:
    """Give a track's standing."""
    return TrackStatus(
        **{name: row[name] for name in ("track_id", "location", "position", "sentence")},
        state=State(row["state"]),
        code=Code(row["code"]),
        is_retryable=row["is_retryable"],
        failures=row["failures"],
        columns=load_cells(row["columns"]),
    )


def reject_from_row(row: Cells) -> Reject:
    """Give a manifest row that could not be used."""
    return Reject(row["row_number"], row["track_id"], row["location"], Code(row["code"]), row["sentence"])


def attempts_with_tracks() -> Select[tuple[Any, ...]]:
    """Give the query whose rows `attempt_from_row` reads."""
    from_tracks = [column for column in tracks.c if column.name not in attempts.c]
    return select(attempts, *from_tracks).select_from(attempts.join(tracks, SAME_TRACK))


def attempt_from_row(row: Cells) -> Attempt:
    """Give an attempt with its track."""
    return Attempt(
        token=row["token"],
        track=track_from_row(row),
        recipe=recipe_from_name(row["recipe"]),
        provider=row["provider"],
        number=row["number"],
        credits_reserved=row["credits_reserved"],
        job_id=row["job_id"],
        sent_at=row["sent_at"],
        request=json.loads(row["request"]) if row["request"] else None,
    )


def dump_job(job: Job) -> str:
    """Give a job's lasting facts as JSON: its links are left out, they expire."""
    facts = {name: value for name, value in asdict(job).items() if name != "outputs" and value is not None}
    return dump_cells(facts)


def job_from_row(row: Cells) -> Job:
    """Give the job of an attempt, without links."""
    facts = load_cells(row["job"]) if row["job"] else {"job_id": row["job_id"] or "", "phase": Phase.RUNNING}
    return Job(**{**facts, "phase": Phase(facts["phase"])})


def dump_collected(collected: CollectedTrack) -> str:
    """Give a collected track as JSON."""
    facts = asdict(collected)
    facts["stems"] = [
        {name: value for name, value in stem.items() if value is not None or name not in _MAY_LACK}
        for stem in facts["stems"]
    ]
    return dump_cells(facts)


def without_activity(text: str) -> str:
    """Give what `dump_collected` wrote without what each second holds, which a table has once it is published."""
    collected = load_collected(text)
    return dump_collected(
        replace(collected, stems=tuple(replace(stem, activity=None) for stem in collected.stems))
    )


def dump_lasting(collected: CollectedTrack) -> str:
    """Give what stays of a track once the tables hold its stems: these only where something was remarked on them."""
    is_remarked = any(stem.verification not in ("ok", LINKED) for stem in collected.stems)
    return dump_collected(collected if is_remarked else replace(collected, stems=()))


def load_collected(text: str) -> CollectedTrack:
    """Give the collected track that `dump_collected` wrote."""
    facts = load_cells(text)
    return CollectedTrack(**{**facts, "stems": tuple(StemFile(**stem) for stem in facts["stems"])})


def batch_row_from_row(row: Cells) -> BatchRow:
    """Give one member of a batch."""
    return BatchRow(
        run_id=row["run_id"],
        attempt=attempt_from_row(row),
        job=job_from_row(row),
        collected=load_collected(row["result"]),
        credits_charged=row["credits_charged"] or 0,
        source_sha256=row["source_sha256"],
    )
