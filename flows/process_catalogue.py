"""From a catalogue manifest to a stems dataset."""

from __future__ import annotations

from pathlib import Path

from flows.observed_flow import flow_on_demand
from flows.parameters import Config, Limit, Overrides, Redrive, WaitMinutes, Where
from flows.run_name import name_flow_run
from stemline.resolution.redrive import read_codes
from stemline.run.key_wait import open_run_when_free
from stemline.run.selection import Result, Selection
from stemline.settings import load_settings
from tasks.collect_batch import collect_batch
from tasks.plan_catalogue import plan_catalogue
from tasks.publish_batch import publish_batch
from tasks.report_run import report_run


def run_steps(  # noqa: PLR0913 - what a deployment may be asked for
    config: Config,
    *,
    overrides: Overrides = None,
    where: Where = None,
    limit: Limit = None,
    redrive: Redrive = None,
    wait_minutes: WaitMinutes = 0,
) -> Result:
    """Plan the catalogue, submit its tracks, collect what comes back, and publish it batch by batch.

    With `redrive` it is about tracks that failed before: those of these codes, or all of them for an empty list.
    """
    settings = load_settings(Path(config), overrides or [])
    codes = None if redrive is None else read_codes(redrive)
    with open_run_when_free(settings, Selection(where, limit, codes), wait_minutes * 60) as run:
        plan_catalogue(run)
        with run.collecting() as collected:
            while not collected.is_over:
                publish_batch(run, collect_batch(collected))
        return report_run(run)


# The flow itself: `from flows.process_catalogue import process_catalogue`, as prefect.yaml does.
__getattr__ = flow_on_demand("process_catalogue", run_steps, flow_run_name=name_flow_run)
