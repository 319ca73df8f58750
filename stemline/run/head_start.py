"""The first tracks that wait from an earlier run of a large catalogue: they can be sent while all of it is read."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace

from stemline.manifest import ManifestSource
from stemline.plan.survey import SurveyedBatch
from stemline.records import Track
from stemline.run.context import RunContext

WORTHWHILE = 50_000
"""A smaller catalogue is read in a second or two."""
HEAD_TRACKS = 500
"""So many at most: what the manifest has put in front of them meanwhile waits no longer than these take."""

EARLIER_RUNS = 3
"""So many are looked at: one that was cut off as it began has taken over little from the one before."""


def survey_head(
    run: RunContext, survey: Callable[[ManifestSource], Iterator[SurveyedBatch]]
) -> SurveyedBatch | None:
    """Give the tracks that are next in line, as the manifest has them now.

    None where the manifest has to be read first: it says itself who comes first, or these rows are others by now.
    """
    source = run.source
    if run.selection.again or source.limit is not None or source.order_by:
        return None
    waiting = _left_waiting(run)
    if not waiting or any(track.priority for track in waiting):
        return None
    from stemline.manifest.loading import has_priorities  # noqa: PLC0415 - it loads DuckDB

    if has_priorities(source):
        return None
    rows = tuple(sorted(track.position for track in waiting))
    found = [track for batch in survey(replace(source, rows=rows)) for track in batch.tracks]
    is_as_it_was = set(map(_place, found)) == set(map(_place, waiting))
    return SurveyedBatch(tuple(found), ()) if is_as_it_was else None


def _place(track: Track) -> tuple[str, int, int]:
    return track.track_id, track.priority, track.position


def _left_waiting(run: RunContext) -> list[Track]:
    """Give what an earlier run left waiting of a large catalogue, in the order of the queue."""
    runs = run.ledger.runs
    for earlier in runs.before(run.run_id, EARLIER_RUNS):
        if runs.is_large(earlier, WORTHWHILE):
            return run.ledger.tracks.next_planned(run.run_id, HEAD_TRACKS, left_by=earlier)
    return []
