"""The first usable rows of a manifest: rows that are rejected do not count among those that `--limit` asks for."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import TYPE_CHECKING

from stemline.manifest import ManifestSource
from stemline.records import Track

if TYPE_CHECKING:
    from stemline.plan.surveyed_batch import SurveyedBatch

LEAST_ROWS = 64
"""So many rows are read at least where more than were asked for have to be: each time the manifest is gone through."""


def first_usable(
    source: ManifestSource, survey: Callable[[ManifestSource], Iterator[SurveyedBatch]]
) -> Iterator[SurveyedBatch]:
    """Give the first `source.limit` usable rows, and the rejects up to there, as `survey` gives them of some rows.

    Of rows in an order of their own, rejects from a little further on may be among them.
    """
    wanted, skip, told = source.limit or 0, 0, set[int]()
    while wanted > 0:
        window = max(wanted, LEAST_ROWS, skip) if skip else wanted
        read = 0
        for batch in survey(replace(source, limit=window, skip=skip)):
            read += batch.rows
            first = _first(batch, wanted, in_order=source.order_by is not None)
            rejects = tuple(each for each in first.rejects if each.row not in told)
            told.update(each.row for each in rejects)
            wanted -= len(first.tracks)
            yield replace(first, rejects=rejects)
        if read < window:
            return
        skip += window


def _first(batch: SurveyedBatch, wanted: int, *, in_order: bool) -> SurveyedBatch:
    """Give a batch up to so many usable rows."""
    if len(batch.tracks) < wanted or (len(batch.tracks) == wanted and not batch.rejects):
        return batch

    def place(track: Track) -> int:
        return -track.priority if in_order else track.position

    first = sorted(batch.tracks, key=place)[:wanted]
    last = first[-1].position if first else 0
    ids = {track.track_id for track in first}
    return replace(
        batch,
        tracks=tuple(track for track in batch.tracks if track.track_id in ids),
        rejects=tuple(each for each in batch.rejects if in_order or each.row <= last),
        away={track_id: why for track_id, why in batch.away.items() if track_id in ids},
        misstated=tuple(each for each in batch.misstated if each.track_id in ids),
    )
