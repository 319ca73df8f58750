"""A run's result, summary and report."""

from __future__ import annotations

from stemline.run import Result, Run
from tasks.plug import plug


@plug
def report_run(run: Run) -> Result:
    """Give the result, after writing summary and report into the dataset."""
    return run.finish()
