"""Collected tracks, booked in the ledger and published as one batch."""

from __future__ import annotations

from collections.abc import Sequence

from stemline.collector.batch import Collected
from stemline.records import ReadyTrack
from stemline.run import Run
from tasks.plug import plug


@plug
def publish_batch(run: Run, ready: Sequence[ReadyTrack], outcomes: Sequence[Collected]) -> None:
    """Book every outcome, write the batch's Parquet parts, and send tracks with stale links round again."""
    run.settle(ready, outcomes)
