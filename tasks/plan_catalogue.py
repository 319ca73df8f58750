"""The catalogue, surveyed into the ledger."""

from __future__ import annotations

from stemline.run.run import Run
from tasks.observed_task import observed_task


@observed_task("plan the catalogue")
def plan_catalogue(run: Run) -> int:
    """Give how many tracks the run is about, after finishing what an earlier run left unpublished."""
    run.publish_leftovers()
    selected = run.plan()
    run.publish_set_aside()  # with the cells that were corrected in the manifest just read
    return selected
