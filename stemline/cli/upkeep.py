"""The commands that look after a dataset, and spend nothing."""

from __future__ import annotations

from typing import TYPE_CHECKING

from stemline.cli.console import Screen, spinner
from stemline.cli.options import Config, Json, Set, print_json, read_config
from stemline.wording import bytes_text, counted

if TYPE_CHECKING:
    from stemline.run.compaction import CompactionReport


def compact(config: Config, overrides: Set = None, is_json: Json = False) -> None:
    """Merge the dataset's small parts: at most one for each table and partition, or one for every 512 MB."""
    from stemline.run.compaction import compact_dataset

    screen = Screen(is_json=is_json)
    settings = read_config(screen, config, overrides)
    with spinner(screen, "Merging small parts"):
        report = compact_dataset(settings)
    if is_json:
        print_json(report.as_tree())
    else:
        _show_compaction(screen, report)


def _show_compaction(screen: Screen, report: CompactionReport) -> None:
    counts = report.counts
    screen.out.print(
        f"merged    {counted(counts.parts_before, 'part')} of {counted(counts.partitions, 'partition')} "
        f"to {counts.parts_after:,}, "
        f"{bytes_text(counts.bytes_before)} to {bytes_text(counts.bytes_after)}"
    )
    screen.out.print(f"right     {counted(report.right, 'partition')} as before")
    if report.left:
        screen.out.print(
            f"left      {counted(report.left, 'part')} that this ledger did not publish: "
            "`stemline adopt` makes them known"
        )
    screen.out.print(f"dataset   {report.dataset}", markup=False)
