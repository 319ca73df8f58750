"""A dataset held against its tables, its snapshot and the ledger, at a time of its own."""

from __future__ import annotations

from pathlib import Path

from flows.observed_flow import flow_on_demand
from flows.parameters import Config, Decode, Overrides, Repair, Sample
from flows.run_name import name_flow_run
from stemline.integrity.finding import IntegrityReport
from stemline.integrity.verification import Thoroughness
from stemline.settings import load_settings
from tasks.check_dataset import check_dataset


def run_steps(
    config: Config,
    *,
    overrides: Overrides = None,
    sample: Sample = None,
    decode: Decode = False,
    repair: Repair = False,
) -> IntegrityReport:
    """Find what is missing, extra or altered; spends nothing, and changes nothing unless asked to repair."""
    settings = load_settings(Path(config), overrides or [])
    return check_dataset(settings, Thoroughness(sample, decode), is_repairing=repair)


# The flow itself: `from flows.verify_dataset import verify_dataset`, as prefect.yaml does.
__getattr__ = flow_on_demand("verify_dataset", run_steps, flow_run_name=name_flow_run)
