"""Ready tracks, downloaded, verified and stored."""

from __future__ import annotations

from collections.abc import Sequence

from stemline import collector
from stemline.collector import Target
from stemline.collector.batch import Collected
from stemline.records import ReadyTrack
from tasks.plug import plug


@plug
def collect_batch(ready: Sequence[ReadyTrack], target: Target) -> list[Collected]:
    """Give one outcome for each ready track, in their order."""
    return collector.collect_batch(ready, target)
