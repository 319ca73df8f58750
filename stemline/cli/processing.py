"""The commands that process a catalogue, and the one that foretells it."""

from __future__ import annotations

import math
import sys
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any

import typer

from stemline.cli.edge import print_json, read_config
from stemline.cli.flow import run_flow
from stemline.cli.option import Config, Engine, Json, Limit, Set, Where, Yes
from stemline.console import Screen, confirm, spinner
from stemline.plan import Preview, check_plan, preview, save_plan
from stemline.run import Selection, source_of
from stemline.settings import Settings, load_facts, load_settings


def demo(
    folder: Annotated[Path, typer.Option(help="Where everything goes.")] = Path("demo"),
    source: Annotated[
        Path | None, typer.Option("--from", help="A folder of your own music to use instead.")
    ] = None,
    limit: Limit = None,
    is_json: Json = False,
) -> None:
    """Make a small catalogue of songs and turn it into a dataset: no key, no network."""
    from stemline.demo import make_demo, show_rows

    screen = Screen(is_json=is_json)
    with spinner(screen, "Making a catalogue of songs" if source is None else f"Looking at {source}"):
        config = make_demo(folder, source)
    result = run_flow(screen, config, Selection(limit=limit))
    if not is_json:
        show_rows(screen.out, load_settings(config).dataset.url)
        screen.out.print(
            f"\nTry next:\n  stemline status {config}\n  stemline plan {config}\n  stemline run {config}"
        )
    raise typer.Exit(result.exit_code)


def plan(
    config: Config,
    overrides: Set = None,
    where: Where = None,
    limit: Limit = None,
    out: Annotated[Path | None, typer.Option(help="Save the plan, for `run --plan` to be held to.")] = None,
    is_json: Json = False,
) -> None:
    """Show what a run would do, cost and take; reads only."""
    screen = Screen(is_json=is_json)
    settings, selection = read_config(screen, config, overrides), Selection(where, limit)
    found = _foretell(screen, settings, selection)
    if out is not None:
        save_plan(out, settings, selection, found)
    if is_json:
        print_json(_plan_tree(found))
        return
    screen.show_plan(found)
    if out is not None:
        screen.note(f"Saved: `stemline run {config} --plan {out}` refuses to do anything else.")


def run(
    config: Config,
    overrides: Set = None,
    where: Where = None,
    limit: Limit = None,
    saved: Annotated[
        Path | None,
        typer.Option("--plan", help="Refuse if rows or cost have moved since this plan was saved."),
    ] = None,
    yes: Yes = False,
    is_json: Json = False,
    with_engine: Engine = False,
) -> None:
    """Process the catalogue; safe to kill and to repeat."""
    screen = Screen(is_json=is_json)
    settings = read_config(screen, config, overrides)
    selection = Selection(where, limit)
    most = None if saved is None else _held_to_plan(screen, settings, selection, saved)
    is_free = settings.provider.kind == "local"
    if not (yes or is_json or is_free or _is_agreed(screen, settings, selection, most)):
        raise typer.Exit(130)
    result = run_flow(screen, config, selection, overrides=overrides, with_engine=with_engine)
    raise typer.Exit(result.exit_code)


def _foretell(screen: Screen, settings: Settings, selection: Selection) -> Preview:
    with spinner(screen, "Reading the catalogue"):
        return preview(settings, source_of(settings, selection), load_facts(settings.provider.kind))


def _held_to_plan(screen: Screen, settings: Settings, selection: Selection, saved: Path) -> int:
    """Give the most credits of a saved plan that still holds; raises PlanOutdated for one that does not."""
    with spinner(screen, "Holding the catalogue against the plan"):
        source, facts = source_of(settings, selection), load_facts(settings.provider.kind)
        return math.ceil(check_plan(saved, settings, source, facts).credits.high)


def _is_agreed(screen: Screen, settings: Settings, selection: Selection, most: int | None) -> bool:
    """Ask whether to spend; `most` are the credits of a plan that was looked at before, None where there is none."""
    if not sys.stdin.isatty():
        return True
    if most is None:
        found = _foretell(screen, settings, selection)
        screen.show_plan(found)
        most = found.work.credits_high
    return confirm(f"Spend up to {most:,} credits with {settings.provider.kind}?")


def _plan_tree(found: Preview) -> dict[str, Any]:
    counted = ("new", "done", "under_way", "failed", "rejected", "held")
    return {
        "tracks": {name: getattr(found, name) for name in counted},
        "credits": {"low": found.work.credits_low, "high": found.work.credits_high},
        "seconds": {"low": found.forecast.seconds_low, "high": found.forecast.seconds_high},
        "requests": {"low": found.forecast.requests_low, "high": found.forecast.requests_high},
        "bottleneck": found.forecast.bottleneck,
        "advice": found.forecast.advice,
        "rejects": [asdict(reject) for reject in found.rejects],
    }
