"""Collected tracks, published as one batch while others are collected."""

from __future__ import annotations

import logging
from collections.abc import Sequence

from stemline.run.run import Run
from stemline.wording import counted
from tasks.asset import asset_key, describe_asset
from tasks.observed_task import observed_task

logger = logging.getLogger("stemline.tasks")


def _dataset(run: Run, tokens: Sequence[str]) -> str | None:
    return asset_key(run.store.url()) if tokens else None


@observed_task("publish batch {run.collected.number}", asset=_dataset)
def publish_batch(run: Run, tokens: Sequence[str]) -> int:
    """Write the batch's Parquet parts, and give how many tracks they hold."""
    published = run.publish(tokens)
    logger.info("Published %s.", counted(published, "track"))
    describe_asset(lambda: _facts(run, tokens, published))
    return published


def _facts(run: Run, tokens: Sequence[str], published: int) -> dict[str, object]:
    charged = sum(row.credits_charged for row in run.ledger.queries.results(tokens))
    return {"rows": published, "credits": charged, "batch": run.collected.number, "run": run.run_id}
