"""A backfill's plan saved in a file, and held to before it is frozen."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal

from stemline.backfill.beginning import BackfillPlan
from stemline.errors import PlanOutdated
from stemline.ledger import Backfill
from stemline.plan.saved_plan import read_plan_file, write_plan_file
from stemline.settings import Section

COMMAND = "stemline backfill … --dry-run"


class BackfillPlanFile(Section):
    """The contents of the file."""

    stemline_backfill: Literal[1] = 1
    """The version of the file format."""
    name: str
    config_digest: str
    manifest_digest: str
    request: dict[str, Any]
    ceiling: int | None
    share: float
    slices: list[tuple[str, int, int]]
    """Name, tracks and credits of each."""


def save_backfill_plan(path: Path, plan: BackfillPlan) -> None:
    """Write a plan to a file; raises UsageError where that cannot be written."""
    write_plan_file(path, _of(plan))


def check_backfill_plan(path: Path, plan: BackfillPlan) -> None:
    """Raise PlanOutdated where a plan is not what was saved, naming what moved; UsageError for a file that is none."""
    saved = _read(path)
    now = _of(plan)
    moved = [name for name in BackfillPlanFile.model_fields if getattr(saved, name) != getattr(now, name)]
    if not moved:
        return
    words = {
        "config_digest": "the configuration",
        "manifest_digest": "the rows",
        "request": "what is asked for",
    }
    before, after = (sum(tracks for _, tracks, _ in each.slices) for each in (saved, now))
    raise PlanOutdated(
        f"The plan {path} no longer holds: {', '.join(words.get(name, name) for name in moved)} moved "
        f"({before:,} tracks then, {after:,} now).",
        fix=f"Make one with `{COMMAND} --out {path}`.",
    )


def check_frozen(path: Path, backfill: Backfill) -> None:
    """Raise PlanOutdated where what was frozen is not what a plan showed; UsageError for a file that is none.

    Order, ceiling and share may have been changed since, by somebody who may.
    """
    saved, order = _read(path), {"order": str(backfill.order)}
    is_same = saved.manifest_digest == backfill.manifest_digest
    if saved.name != backfill.name or not is_same or {**saved.request, **order} != backfill.request:
        raise PlanOutdated(
            f"Backfill {backfill.name} was not frozen from the plan {path}.",
            fix="Go on with it by --name alone, or freeze the plan's under the plan's own name.",
        )


def _read(path: Path) -> BackfillPlanFile:
    return read_plan_file(path, BackfillPlanFile, "plan of a backfill", COMMAND)


def _of(plan: BackfillPlan) -> BackfillPlanFile:
    backfill = plan.backfill
    return BackfillPlanFile(
        name=backfill.name,
        config_digest=backfill.config_digest,
        manifest_digest=backfill.manifest_digest,
        request=dict(backfill.request),
        ceiling=backfill.ceiling,
        share=backfill.share,
        slices=[(each.slice, each.tracks, each.credits) for each in plan.forecast.slices],
    )
