"""A frozen part of the catalogue made into stems: slice by slice, beside the runs that go first."""

from __future__ import annotations

from pathlib import Path

from flows.backfill_parameters import By, Ceiling, Mode, Name, Order, PayAgain, Share, Since, Slice, Until
from flows.observed_flow import flow_on_demand
from flows.parameters import Config, Overrides, Where
from flows.run_name import name_flow_run
from stemline.backfill.beginning import begin_backfill
from stemline.backfill.legs import BackfillLegs
from stemline.run.opening import open_run
from stemline.run.selection import Result
from stemline.settings import load_settings
from tasks.collect_batch import collect_batch
from tasks.plan_catalogue import plan_catalogue
from tasks.publish_batch import publish_batch
from tasks.report_run import report_run


def run_steps(  # noqa: PLR0913 - those of `stemline backfill`
    config: Config,
    overrides: Overrides = None,
    *,
    name: Name = None,
    since: Since = None,
    until: Until = None,
    by: By = None,
    where: Where = None,
    mode: Mode = None,
    order: Order = None,
    slice: Slice = None,  # noqa: A002 - the option's name
    credits: Ceiling = None,  # noqa: A002 - the option's name
    share: Share = None,
    pay_again: PayAgain = None,
) -> Result:
    """Freeze the backfill, or go on with the one of that name; run after run until it is done, or a limit stops it.

    What is not given is as `stemline backfill` has it, or as it was frozen.
    """
    settings = load_settings(Path(config), overrides or [])
    words = {
        "since": since,
        "until": until,
        "by": by,
        "where": where,
        "mode": mode,
        "order": order,
        "slice": slice,
    }
    legs = BackfillLegs(
        settings, begin_backfill(settings, name, words, ceiling=credits, share=share, pay_again=pay_again)
    )
    while (selection := legs.next()) is not None:
        with open_run(settings, selection) as run:
            plan_catalogue(run)
            with run.collecting() as collected:
                while not collected.is_over:
                    publish_batch(run, collect_batch(collected))
            result = report_run(run)
        legs.note(result, is_interrupted=run.is_interrupted)
    return legs.result()


# The flow itself: `from flows.backfill_catalogue import backfill_catalogue`, as prefect.yaml does.
__getattr__ = flow_on_demand("backfill_catalogue", run_steps, flow_run_name=name_flow_run)
