"""A dataset's small parts merged, at a time of its own."""

from __future__ import annotations

from pathlib import Path

from flows.observed_flow import flow_on_demand
from flows.parameters import Config, Overrides
from flows.run_name import name_flow_run
from stemline.run.compaction import CompactionReport
from stemline.settings import load_settings
from tasks.merge_parts import merge_parts


def run_steps(config: Config, overrides: Overrides = None) -> CompactionReport:
    """Merge the parts of every partition that has more than its size asks for; spends nothing."""
    return merge_parts(load_settings(Path(config), overrides or []))


# The flow itself: `from flows.compact_dataset import compact_dataset`, as prefect.yaml does.
__getattr__ = flow_on_demand("compact_dataset", run_steps, flow_run_name=name_flow_run)
