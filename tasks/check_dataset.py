"""A dataset, held against what is known of it."""

from __future__ import annotations

from stemline.integrity.finding import IntegrityReport
from stemline.integrity.repair import repair_dataset
from stemline.integrity.verification import Thoroughness, verify_dataset
from stemline.settings import Settings
from tasks.observed_task import observed_task


@observed_task("check the dataset")
def check_dataset(settings: Settings, how: Thoroughness, *, is_repairing: bool) -> IntegrityReport:
    """Look at every part and audio object; mend what can be mended for nothing where that is asked for."""
    return (repair_dataset if is_repairing else verify_dataset)(settings, how)
