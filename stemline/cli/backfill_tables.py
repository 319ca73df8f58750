"""A backfill on the terminal: its plan, what is left of one, all of them with their progress."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

from rich.table import Table

from stemline.backfill.beginning import BackfillPlan
from stemline.backfill.chosen_rows import SliceTotal
from stemline.backfill.deadline import DeadlineAnswer
from stemline.backfill.forecast import BackfillForecast
from stemline.backfill.remainder import Remainder
from stemline.cli.console import Screen
from stemline.ledger import Backfill
from stemline.records import Code
from stemline.wording import counted, interval, length

SHOWN_SLICES = 24
SHOWN_ROWS = 10


def forecast_tree(name: str, found: BackfillForecast, answer: DeadlineAnswer | None) -> dict[str, Any]:
    """Give what `--dry-run --json` prints of any backfill."""
    first, last = found.ends_at
    tree = {
        "name": name,
        "tracks": found.tracks,
        "credits": {
            "low": found.workload.credits_low,
            "high": found.workload.credits_high + found.held_credits,
        },
        "seconds": {
            "low": round(found.forecast.seconds_low, 1),
            "high": round(found.forecast.seconds_high, 1),
        },
        "slices": [asdict(each) for each in found.slices],
        "ends_at": {"low": first.isoformat(timespec="seconds"), "high": last.isoformat(timespec="seconds")},
        "bottleneck": found.forecast.bottleneck,
        "held": found.held,
    }
    if answer is not None:
        tree["deadline"] = {
            "at": answer.deadline.isoformat(timespec="seconds"),
            "can_be": answer.can_be,
            "remedies": list(answer.remedies),
        }
    return tree


def plan_tree(plan: BackfillPlan, answer: DeadlineAnswer | None) -> dict[str, Any]:
    """Give what `--dry-run --json` prints of a new backfill."""
    choice = plan.choice
    return {
        **forecast_tree(plan.backfill.name, plan.forecast, answer),
        "done": choice.done,
        "failed_before": choice.failed_before,
        "outside": choice.outside,
        "undated": choice.undated,
        "rejected": len(choice.rejected) - choice.undated,
        "paid_again": choice.paid_again,
        "misstated": len(choice.misstated),
        "rejects": [asdict(reject) for reject in choice.rejected[:SHOWN_ROWS]],
    }


def show_plan(screen: Screen, plan: BackfillPlan, answer: DeadlineAnswer | None) -> None:
    """Show a backfill before it is frozen."""
    choice = plan.choice
    screen.out.print(f"Backfill {plan.backfill.name}", style="bold", markup=False)
    show_slices(screen, plan.forecast.slices)
    show_forecast(screen, plan.forecast, answer)
    left_out = {
        "as they should be already": choice.done,
        "failed for good before: --mode failed takes them": choice.failed_before,
        "outside the bounds": choice.outside,
        f"without a date in {choice.request.by} that can be read": choice.undated,
        "rejected": len(choice.rejected) - choice.undated,
    }
    for told, count in left_out.items():
        if count:
            screen.out.print(f"  {count:,} {told}", markup=False)
    for reject in choice.rejected[:SHOWN_ROWS]:
        screen.out.print(f"    {reject.code}: {reject.sentence}", markup=False)
    if len(choice.rejected) > SHOWN_ROWS:
        screen.out.print(f"    … and {len(choice.rejected) - SHOWN_ROWS:,} more", markup=False)
    if choice.misstated:
        count, first = len(choice.misstated), choice.misstated[0]
        told = f"{counted(count)} not as long as the manifest says, such as row {first.row}: {first.sentence}"
        screen.out.print(f"  {told}", markup=False)
    if choice.paid_again:
        told = f"{choice.paid_again:,} credits of it are paid once more for tracks that were paid for before."
        screen.out.print(told, style="bold yellow", markup=False)


def show_remainder(screen: Screen, left: Remainder, answer: DeadlineAnswer | None) -> None:
    """Show what is left of a backfill, and what has changed since it was frozen."""
    backfill = left.backfill
    screen.out.print(f"Backfill {backfill.name}, frozen {backfill.made_at:%Y-%m-%d %H:%M} UTC", markup=False)
    for sentence in left.changes:
        screen.out.print(f"  {sentence}", markup=False)
    if left.is_nothing:
        screen.out.print("  Every track is published.")
        return
    show_slices(screen, left.forecast.slices)
    show_forecast(screen, left.forecast, answer)


def show_slices(screen: Screen, slices: Sequence[SliceTotal]) -> None:
    """Show slices in their order."""
    table = Table(box=None, padding=(0, 2, 0, 0), show_edge=False)
    table.add_column("slice")
    for name in ("tracks", "credits"):
        table.add_column(name, justify="right")
    for each in slices[:SHOWN_SLICES]:
        table.add_row(each.slice, f"{each.tracks:,}", f"{each.credits:,}")
    rest = slices[SHOWN_SLICES:]
    if rest:
        tracks, cost = sum(each.tracks for each in rest), sum(each.credits for each in rest)
        table.add_row(f"{len(rest):,} more", f"{tracks:,}", f"{cost:,}")
    table.add_row(
        "together", f"{sum(each.tracks for each in slices):,}", f"{sum(each.credits for each in slices):,}"
    )
    screen.out.print(table)


def show_forecast(screen: Screen, found: BackfillForecast, answer: DeadlineAnswer | None) -> None:
    """Show cost and time."""
    low, high = found.forecast.seconds_low, found.forecast.seconds_high
    first, last = (f"{each:%Y-%m-%d %H:%M}" for each in found.ends_at)
    ends = first if first[:10] == last[:10] else f"{first} to {last}"
    screen.out.print(
        f"credits  {interval(f'{found.workload.credits_low:,}', f'{found.workload.credits_high:,}')}\n"
        f"time     {interval(length(low), length(high))}, set by: {found.forecast.bottleneck}; ends {ends} UTC",
        markup=False,
    )
    if found.held:
        is_ceiling = found.held_by is Code.BUDGET_BACKFILL
        why = "its ceiling has no room for them" if is_ceiling else "no day or month has room for them"
        screen.out.print(f"held     {counted(found.held)}: {why}", markup=False)
    if found.forecast.advice:
        screen.out.print(found.forecast.advice, markup=False)
    if answer is not None:
        screen.out.print(answer.sentence, markup=False)


def progress_table(tree: Mapping[str, Any]) -> Table:
    """Give the progress of a backfill by slice."""
    table = Table(box=None, padding=(0, 2, 0, 0), show_edge=False)
    table.add_column("slice")
    table.add_column("published", justify="right")
    table.add_column("of", justify="right")
    table.add_column("the others")
    for each in tree["slices"][:SHOWN_SLICES]:
        others = [f"{count:,} {state}" for state, count in each["states"].items() if state != "published"]
        table.add_row(each["slice"], f"{each['published']:,}", f"{each['tracks']:,}", ", ".join(others))
    if len(tree["slices"]) > SHOWN_SLICES:
        table.add_row(f"{len(tree['slices']) - SHOWN_SLICES:,} more", "", "", "`--json` has them all")
    return table


def backfills_table(trees: Sequence[Mapping[str, Any]]) -> Table:
    """Give every backfill as a line."""
    table = Table(box=None, padding=(0, 1, 0, 0), show_edge=False)
    # No word is cut off: on a narrow terminal the name alone is broken, wherever it has to be.
    words = {"state": "cancelled", "published": "published", "credits": "reserved", "made": "2026-01-01"}
    for name in ("backfill", "state", "published", "credits", "ceiling", "made"):
        table.add_column(name, overflow="fold", min_width=len(words.get(name, "")) or None)
    for tree in trees:
        about = tree["backfill"]
        spent, ceiling = about["credits"], about["credits"]["ceiling"]
        total = sum(about["tracks"].values())
        table.add_row(
            about["name"],
            about["state"],
            f"{about['tracks'].get('published', 0):,} of {total:,}",
            f"{spent['charged']:,} charged, {spent['reserved']:,} reserved",
            "none" if ceiling is None else f"{ceiling:,}",
            about["made_at"][:16].replace("T", " "),
        )
    return table


def ceiling_words(backfill: Backfill) -> str:
    """Say what it may spend."""
    return "no ceiling" if backfill.ceiling is None else f"a ceiling of {backfill.ceiling:,} credits"
