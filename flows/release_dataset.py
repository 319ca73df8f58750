"""A release of a dataset made, at a time of its own."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

from flows.observed_flow import flow_on_demand
from flows.run_name import name_flow_run
from stemline.release.record import Release
from stemline.run import releasing
from stemline.settings import load_settings


def make_release(config: str, name: str | None = None, overrides: list[str] | None = None) -> Release:
    """Make a release of what is published now, named after the day where no name is given; spends nothing."""
    settings = load_settings(Path(config), overrides or [])
    return releasing.release_dataset(settings, name or f"{datetime.now(UTC):%Y-%m-%d}")


# The flow itself: `from flows.release_dataset import release_dataset`, as prefect.yaml does.
__getattr__ = flow_on_demand(
    "release_dataset", make_release, flow_run_name=name_flow_run, validate_parameters=False
)
