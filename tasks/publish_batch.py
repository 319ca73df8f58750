"""Collected tracks, published as one batch while others are collected."""

from __future__ import annotations

from collections.abc import Sequence

from stemline.run.run import Run
from tasks.observed_task import observed_task


@observed_task("publish batch {run.collected.number}")
def publish_batch(run: Run, tokens: Sequence[str]) -> int:
    """Write the batch's Parquet parts, and give how many tracks they hold."""
    return run.publish(tokens)
