"""Collected tracks, booked in the ledger and published as one batch."""

from __future__ import annotations

from collections.abc import Sequence

from stemline.collector import CollectResult
from stemline.records import ReadyTrack
from stemline.run.run import Run
from tasks.observed_task import observed_task


@observed_task
def publish_batch(run: Run, ready: Sequence[ReadyTrack], outcomes: Sequence[CollectResult]) -> None:
    """Book every outcome, write the batch's Parquet parts, and send tracks with stale links round again."""
    run.book_outcomes(ready, outcomes)
