"""A dataset's small parts merged, at a time of its own."""

from __future__ import annotations

from pathlib import Path

from flows.observed_flow import flow_on_demand
from flows.run_name import name_flow_run
from stemline.run import compaction
from stemline.settings import load_settings


def merge_parts(config: str, overrides: list[str] | None = None) -> compaction.CompactionReport:
    """Merge the parts of every partition that has more than its size asks for; spends nothing."""
    return compaction.compact_dataset(load_settings(Path(config), overrides or []))


# The flow itself: `from flows.compact_dataset import compact_dataset`, as prefect.yaml does.
__getattr__ = flow_on_demand(
    "compact_dataset", merge_parts, flow_run_name=name_flow_run, validate_parameters=False
)
