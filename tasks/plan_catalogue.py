"""The catalogue, surveyed into the ledger."""

from __future__ import annotations

import logging

from stemline.run.run import Run
from stemline.wording import counted
from tasks.observed_task import observed_task

logger = logging.getLogger("stemline.tasks")


@observed_task("plan the catalogue")
def plan_catalogue(run: Run) -> int:
    """Give how many tracks the run is about, after finishing what an earlier run left unpublished."""
    run.publish_leftovers()
    selected = run.plan()
    run.publish_set_aside()  # with the cells that were corrected in the manifest just read
    logger.info("Run %s is about %s.", run.run_id, counted(selected, "track"))
    return selected
