"""A plan on the terminal: made, shown, held against a saved one, agreed to."""

from __future__ import annotations

import math
from dataclasses import asdict
from pathlib import Path
from typing import Any

from rich.table import Table

from stemline.cli.console import Screen, confirm, spinner
from stemline.manifest.passed_over import passed_over_sentence, passed_over_tree
from stemline.plan.forecast import NOTHING
from stemline.plan.preview import Preview, preview_run
from stemline.plan.relocation import relocated_sentence
from stemline.plan.saved_plan import check_plan
from stemline.run.preflight import ask_who_is_needed, looking_as_a_run
from stemline.run.selection import Selection, source_of
from stemline.settings import Settings, load_facts
from stemline.wording import byte_size, counted, interval, length, rejected_row_line


def preview_selection(screen: Screen, settings: Settings, selection: Selection) -> Preview:
    """Give what a run of these rows would do, cost and take; raises what a run would be refused for by reading alone.

    Where there is something to do the provider and the cluster are asked: what a run would stop for when it reaches
    them is the preview's `refusal`.
    """
    found = read_selection(screen, settings, selection)
    if found.has_work:
        with spinner(screen, f"Asking {settings.provider.kind}"):
            ask_who_is_needed(settings, found)
    return found


def read_selection(screen: Screen, settings: Settings, selection: Selection) -> Preview:
    """Give what a run of these rows would do by reading alone: neither provider nor cluster is asked."""
    with spinner(screen, "Reading the catalogue"), looking_as_a_run(settings, selection) as source:
        return preview_run(settings, source, load_facts(settings.provider.kind))


def check_saved_plan(screen: Screen, settings: Settings, selection: Selection, saved: Path) -> int:
    """Give the most credits of a saved plan that still holds; raises PlanOutdated for one that does not."""
    with spinner(screen, "Holding the catalogue against the plan"):
        source, facts = source_of(settings, selection), load_facts(settings.provider.kind)
        return math.ceil(check_plan(saved, settings, source, facts).credits.high)


def ask_to_spend(screen: Screen, settings: Settings, selection: Selection, most: int | None) -> bool:
    """Ask whether to spend; `most` are the credits of a plan that was shown before, None where there is none."""
    if most is None:
        found = preview_selection(screen, settings, selection)
        show_plan(screen, found)
        if found.refusal is not None:
            raise found.refusal
        most = found.workload.credits_high
    return confirm(f"Spend up to {most:,} credits with {settings.provider.kind}?")


def plan_tree(found: Preview) -> dict[str, Any]:
    """Give the object for `--json`."""
    counted = ("new", "done", "under_way", "failed", "rejected", "held")
    return {
        "tracks": {name: getattr(found, name) for name in counted}
        | {"failed": found.failed + found.away, "changed": found.metadata.changed},
        "doubtful": {
            "released_on": found.metadata.bad_dates,
            "isrc": found.metadata.bad_isrcs,
            "license": found.metadata.unknown_licenses,
            "ai_training": found.metadata.unclear_training,
            "duration_seconds": found.metadata.wrong_lengths,
        },
        "odd": {**found.metadata.odd.as_tree(), "published_under_other_ids": found.paid_files.as_tree()},
        "credits": {"low": found.workload.credits_low, "high": found.workload.credits_high},
        "seconds": {"low": found.forecast.seconds_low, "high": found.forecast.seconds_high},
        "requests": {"low": found.forecast.requests_low, "high": found.forecast.requests_high},
        "bottleneck": found.forecast.bottleneck,
        "pilot": found.pilot,
        **_mix_tree(found),
        "advice": found.forecast.advice,
        "warnings": found.warnings,
        "balance": found.balance,
        "refused": _refusal_tree(found),
        **found.metadata.relocations.as_tree(),
        **passed_over_tree(found.passed_over),
        **({"beyond_limit": found.beyond_limit} if found.beyond_limit else {}),
        "rejects": [asdict(reject) for reject in found.rejects],
    }


def _refusal_tree(found: Preview) -> dict[str, Any] | None:
    error = found.refusal
    if error is None:
        return None
    return {
        "kind": type(error).__name__,
        "message": error.message,
        "fix": error.fix,
        "exit_code": error.exit_code,
    }


def show_plan(screen: Screen, plan: Preview) -> None:
    """Show the plan as a table."""
    table = Table(title="Plan", title_justify="left", show_header=False, box=None, padding=(0, 2, 0, 0))
    found = plan.forecast
    for name, count in _plan_counts(plan).items():
        table.add_row(name, f"{count:,}")
    table.add_row("credits", interval(f"{plan.workload.credits_low:,}", f"{plan.workload.credits_high:,}"))
    table.add_row("requests", interval(f"{found.requests_low:,}", f"{found.requests_high:,}"))
    times = interval(length(found.seconds_low), length(found.seconds_high))
    is_idle = found.bottleneck == NOTHING
    table.add_row("time", NOTHING if is_idle else f"{times}, set by: {found.bottleneck}")
    if told := _mix(plan):
        table.add_row("mix", told)
    screen.out.print(table)
    for reject in plan.rejects:
        screen.out.print(f"  {rejected_row_line(reject.row, reject.code, reject.reason)}", markup=False)
    if plan.rejected + plan.away > len(plan.rejects):
        screen.out.print(f"  … and {plan.rejected + plan.away - len(plan.rejects):,} more", markup=False)
    if plan.rejects and plan.has_header:
        screen.out.print("  Rows are counted below the header.", markup=False)
    if plan.passed_over:
        screen.out.print(f"  {passed_over_sentence(plan.passed_over)}", markup=False)
    if plan.is_pilot_failed:
        screen.out.print(
            "  The first tracks of this provider and recipe did not come back verified: none is sent."
        )
    elif plan.pilot:
        first = "track" if plan.pilot == 1 else f"{plan.pilot:,} tracks"
        screen.out.print(f"  The first {first} must come back verified before others are sent.")
    _show_remarks(screen, plan)


def _show_remarks(screen: Screen, plan: Preview) -> None:
    """Show what a person should look at before a run, and what would make it faster."""
    odd = [f"  {each}." for each in plan.metadata.odd.sentences()]
    if told := relocated_sentence(plan.metadata.relocations.as_tree().get("relocated")):
        odd.append(f"  {told}.")
    if told := plan.paid_files.sentence():
        odd.append(f"  {told}.")
    if odd:
        screen.out.print("\nOdd in the manifest", *odd, sep="\n", markup=False)
    for remark in (*plan.warnings, plan.forecast.advice):
        if remark:
            screen.out.print(f"\n{remark}", markup=False)


def _plan_counts(plan: Preview) -> dict[str, int]:
    """Give how many rows are in each state, without the needless zeros."""
    seldom = {
        "under way": plan.under_way,
        "failed for good": plan.failed,
        "not to be reached now": plan.away,
        "rejected": plan.rejected,
        "held by the budget": plan.held,
        "left out by --limit": plan.beyond_limit,
        "published, changed since": plan.metadata.changed,
        "released_on that is no date": plan.metadata.bad_dates,
        "isrc that is no ISRC": plan.metadata.bad_isrcs,
        "license unknown to SPDX": plan.metadata.unknown_licenses,
        "ai_training neither allowed nor denied": plan.metadata.unclear_training,
    }
    return {"to do": plan.new, "done already": plan.done} | {name: n for name, n in seldom.items() if n}


def _mix_tree(plan: Preview) -> dict[str, Any]:
    """Give `mix` for `--json`; nothing where none is asked for."""
    if plan.mix == "none":
        return {}
    work = plan.workload
    sizes = {"bytes": work.mix_bytes, "unsized": work.unsized_mixes, "videos": plan.videos}
    return {"mix": {"mode": plan.mix, **sizes}}


def _mix(plan: Preview) -> str:
    """Say what the sources beside their stems add to the dataset; empty where none are wanted."""
    if plan.mix == "none":
        return ""
    parts = ["linked, not stored"]
    if plan.mix == "copy":
        parts = [f"{byte_size(plan.workload.mix_bytes)} more in the dataset"]
        if plan.workload.unsized_mixes:
            parts.append(f"and the sources of {counted(plan.workload.unsized_mixes)} of unknown size")
    if plan.videos:
        parts.append(f"({counted(plan.videos)} of YouTube: only what the provider gives)")
    return " ".join(parts)
