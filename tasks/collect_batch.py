"""Ready tracks, downloaded, verified, stored and booked as they come."""

from __future__ import annotations

from stemline.run.collected_batches import CollectedBatches
from tasks.observed_task import observed_task


@observed_task("collect batch {collected.next_number}")
def collect_batch(collected: CollectedBatches) -> list[str]:
    """Give the tokens of enough collected tracks for a batch, or of all there are."""
    return collected.next_batch()
