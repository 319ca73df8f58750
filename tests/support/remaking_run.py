"""A run in this process that makes published tracks again, through the steps of the flow."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

from stemline.ledger import open_ledger
from stemline.run.opening import open_run
from stemline.run.selection import Result, Selection
from stemline.settings import load_settings
from tasks.collect_batch import collect_batch
from tasks.plan_catalogue import plan_catalogue
from tasks.publish_batch import publish_batch
from tasks.report_run import report_run


def newest_numbers(config: Path, names: Collection[str]) -> dict[str, int]:
    """Give the numbers of tracks' newest attempts, as somebody notes them who wants these tracks again."""
    settings = load_settings(config)
    with open_ledger(settings.ledger_url) as ledger:
        return ledger.remakes.numbers(settings.provider.kind, settings.recipe.as_recipe(), names)


def make_again(config: Path, again: Mapping[str, int], *overrides: str) -> Result:
    """Run over the catalogue, and make these tracks again."""
    with open_run(load_settings(config, list(overrides)), Selection(again=again)) as run:
        plan_catalogue(run)
        with run.collecting() as collected:
            while not collected.is_over:
                publish_batch(run, collect_batch(collected))
        return report_run(run)


def make_again_armed(config: str, again: dict[str, int], moment: str, environment: dict[str, Any]) -> None:
    """Do so in a process that is killed at a moment; it is started anew, so nothing else is in it."""
    import os  # noqa: PLC0415 - a child's own
    import sys  # noqa: PLC0415

    os.environ.update(environment)
    sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "faults"))
    from kill_points import arm  # noqa: PLC0415

    arm(moment)
    make_again(Path(config), again)
