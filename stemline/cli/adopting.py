"""The command for a ledger that was lost, or is older than its dataset."""

from __future__ import annotations

from stemline.cli.console import Screen, spinner
from stemline.cli.options import Config, Json, Set, print_json, read_config


def adopt(config: Config, overrides: Set = None, is_json: Json = False) -> None:
    """Fill a fresh or older ledger from the dataset: what is published there is never paid for again."""
    from stemline.adoption import adopt_dataset

    screen = Screen(is_json=is_json)
    settings = read_config(screen, config, overrides)
    with spinner(screen, "Reading the dataset's tables"):
        report = adopt_dataset(settings)
    if is_json:
        print_json(report.as_tree())
        return
    counts = report.counts
    screen.out.print(f"adopted   {counts.tracks:,} tracks, {counts.credits:,} credits")
    screen.out.print(f"known     {counts.known:,} tracks before")
    if counts.twice:
        screen.out.print(
            f"twice     {counts.twice:,} further rows of tracks that were paid for more than once"
        )
    if counts.without_stems:
        screen.out.print(
            f"bare      {counts.without_stems:,} tracks without a row in the stems table: put its parts back"
        )
    if counts.lone_parts:
        screen.out.print(
            f"lone      {counts.lone_parts:,} parts of the stems table without theirs of the tracks table: "
            "put those back and adopt again, or what they held may be paid for again"
        )
    screen.out.print(f"dataset   {report.dataset}", markup=False)
    screen.out.print(f"ledger    {report.ledger}", markup=False)
