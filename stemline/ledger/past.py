"""What a plan reads of the ledger: the queue as it stands, and how fast finished tracks came through."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import and_, select

from stemline.ledger.figure import ROWS_A_PAGE
from stemline.ledger.row import job_from_row, load_collected
from stemline.ledger.schema import TRACK_KEY, attempts, runs, tracks
from stemline.ledger.store import Store
from stemline.records import Job, State

NEWEST = 500
"""So many finished tracks tell how fast a provider is."""


@dataclass(frozen=True, slots=True)
class PastTrack:
    """One published track, as far as it tells of speed."""

    name: str
    """Of the configuration it was made with."""
    recipe: str
    batch_id: str
    job: Job
    duration_seconds: float
    collected_at: datetime
    size_bytes: int
    """Of all its stems."""


def newest_tracks(ledger: Store, provider: str) -> list[PastTrack]:
    """Give the provider's newest published tracks whose length is known, the newest first."""
    same_track = and_(*(attempts.c[name] == tracks.c[name] for name in TRACK_KEY))
    columns = [attempts.c[name] for name in ("recipe", "batch_id", "job_id", "job", "result")]
    query = (
        select(runs.c.name, tracks.c.duration_seconds, *columns)
        .select_from(attempts.join(tracks, same_track).join(runs, runs.c.run_id == attempts.c.run_id))
        .where(attempts.c.provider == provider, attempts.c.state == State.PUBLISHED)
        .where(attempts.c.batch_id.is_not(None), tracks.c.duration_seconds > 0)
        .order_by(attempts.c.reserved_at.desc())
        .limit(NEWEST)
    )
    with ledger.read() as connection:
        rows = connection.execute(query).mappings().all()
    found = []
    for row in rows:
        collected = load_collected(row["result"])
        size = sum(stem.size_bytes for stem in collected.stems)
        facts = (row["name"], row["recipe"], row["batch_id"], job_from_row(row), row["duration_seconds"])
        found.append(PastTrack(*facts, collected.collected_at, size))
    return found


def planned_tracks(ledger: Store, run_id: str) -> Iterator[tuple[str, float | None]]:
    """Stream location and length of the run's planned tracks in the order of the queue, in bounded memory."""
    query = (
        select(tracks.c.location, tracks.c.duration_seconds)
        .where(tracks.c.run_id == run_id, tracks.c.state == State.PLANNED)
        .order_by(tracks.c.priority.desc(), tracks.c.position, tracks.c.track_id)
        .execution_options(yield_per=ROWS_A_PAGE)
    )
    with ledger.read() as connection:
        for row in connection.execute(query):
            yield row.location, row.duration_seconds
