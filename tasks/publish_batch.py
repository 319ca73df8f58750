"""Collected tracks, published as one batch while others are collected."""

from __future__ import annotations

import logging
from collections.abc import Sequence

from stemline.run.run import Run
from stemline.wording import counted
from tasks.observed_task import observed_task

logger = logging.getLogger("stemline.tasks")


@observed_task("publish batch {run.collected.number}")
def publish_batch(run: Run, tokens: Sequence[str]) -> int:
    """Write the batch's Parquet parts, and give how many tracks they hold."""
    published = run.publish(tokens)
    logger.info("Published %s.", counted(published, "track"))
    return published
