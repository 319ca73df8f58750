"""A release of a dataset made, at a time of its own."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

from flows.observed_flow import flow_on_demand
from flows.parameters import Config, Overrides, ReleaseName
from flows.run_name import name_flow_run
from stemline.release.record import Release
from stemline.settings import load_settings
from tasks.make_release import make_release


def run_steps(config: Config, name: ReleaseName = None, overrides: Overrides = None) -> Release:
    """Make a release of what is published now, named after the day where no name is given; spends nothing."""
    settings = load_settings(Path(config), overrides or [])
    return make_release(settings, name or f"{datetime.now(UTC):%Y-%m-%d}")


# The flow itself: `from flows.release_dataset import release_dataset`, as prefect.yaml does.
__getattr__ = flow_on_demand("release_dataset", run_steps, flow_run_name=name_flow_run)
