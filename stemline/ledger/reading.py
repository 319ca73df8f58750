"""What a run's report reads of the tracks that were published: figures of each, and a few of them whole."""

from __future__ import annotations

import json
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import and_, select

from stemline.ledger.figure import ROWS_A_PAGE, Figures
from stemline.ledger.row import BatchRow, attempts_with_tracks, batch_row_from_row
from stemline.ledger.schema import TRACK_KEY, attempts, tracks
from stemline.records import State


@dataclass(frozen=True, slots=True)
class Landed:
    """When one published track got there, and its music."""

    token: str
    ready_at: datetime | None
    published_at: datetime
    bpm: float | None
    key: str | None
    bpm_source: str | None
    key_source: str | None


class Readings(Figures):
    """The reads of published tracks."""

    def landed(self, run_id: str) -> Iterator[Landed]:
        """Stream the run's published tracks in the order of the queue, in bounded memory.

        Those of an earlier run that this one selected again are among them: `published_at` tells.
        """
        same_track = and_(*(attempts.c[name] == tracks.c[name] for name in TRACK_KEY))
        columns = [attempts.c[name] for name in ("token", "ready_at", "updated_at", "result")]
        query = (
            select(*columns)
            .select_from(tracks.join(attempts, same_track))
            .where(tracks.c.run_id == run_id, tracks.c.state == State.PUBLISHED)
            .where(attempts.c.state == State.PUBLISHED)
            .order_by(tracks.c.priority.desc(), tracks.c.position, tracks.c.track_id)
            .execution_options(yield_per=ROWS_A_PAGE)
        )
        with self.read() as connection:
            for token, ready_at, published_at, result in connection.execute(query):
                facts = json.loads(result)
                music = {name: facts[name] for name in ("bpm", "key", "bpm_source", "key_source")}
                yield Landed(token, ready_at, published_at, **music)

    def results(self, tokens: Collection[str]) -> list[BatchRow]:
        """Give all that is known of these collected attempts (at most 10,000), in the order of the queue."""
        query = (
            attempts_with_tracks()
            .where(attempts.c.token.in_(list(tokens)), attempts.c.result.is_not(None))
            .order_by(tracks.c.priority.desc(), tracks.c.position, tracks.c.track_id)
        )
        with self.read() as connection:
            return [batch_row_from_row(row) for row in connection.execute(query).mappings()]
