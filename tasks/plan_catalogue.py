"""The catalogue, surveyed into the ledger."""

from __future__ import annotations

import logging

from stemline.run.run import Run
from stemline.wording import counted
from tasks.observed_task import observed_task

logger = logging.getLogger("stemline.tasks")


@observed_task("plan the catalogue")
def plan_catalogue(run: Run) -> int | None:
    """Give how many tracks the run is about, after finishing what an earlier run left unpublished.

    None for a large catalogue that an earlier run has begun: what is next in line is planned, and the rest while
    that is sent.
    """
    run.publish_leftovers()
    selected = run.plan()
    if selected is None:
        logger.info("Run %s goes on with what waits; the catalogue is read meanwhile.", run.run_id)
    else:
        logger.info("Run %s is about %s.", run.run_id, counted(selected, "track"))
    return selected
