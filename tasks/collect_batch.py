"""Ready tracks, downloaded, verified and stored."""

from __future__ import annotations

from collections.abc import Sequence

from stemline.collector import CollectResult, CollectTarget
from stemline.records import ReadyTrack
from tasks.observed_task import observed_task


@observed_task
def collect_batch(ready: Sequence[ReadyTrack], target: CollectTarget) -> list[CollectResult]:
    """Give one outcome for each ready track, in their order."""
    from stemline.collector import batch  # noqa: PLC0415 - loads the decoders, which not every run needs

    return batch.collect_batch(ready, target)
