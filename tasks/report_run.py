"""A run's result, summary and report."""

from __future__ import annotations

from stemline.run.run import Run
from stemline.run.selection import Result
from tasks.observed_task import observed_task


@observed_task("report")
def report_run(run: Run) -> Result:
    """Give the result, after writing summary and report into the dataset."""
    return run.finish()
