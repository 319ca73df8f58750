"""The commands that process a catalogue, and the one that predicts what they will do."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from stemline.cli.console import Screen, require_somebody_to_ask, spinner
from stemline.cli.options import Config, Engine, Json, Limit, Set, Where, Yes, print_json, read_config


def demo(
    folder: Annotated[Path, typer.Option(metavar="FOLDER", help="Where everything goes.")] = Path("demo"),
    source: Annotated[
        Path | None,
        typer.Option("--from", metavar="FOLDER", help="A folder of your own music to use instead."),
    ] = None,
    limit: Limit = None,
    is_json: Json = False,
) -> None:
    """Make a small catalogue of songs and turn it into a dataset: no key, no network."""
    from stemline.cli.flow import run_flow
    from stemline.cli.next_step import CommandLine
    from stemline.demo import make_demo, show_rows
    from stemline.run.selection import Selection
    from stemline.settings import load_settings

    screen = Screen(is_json=is_json)
    with spinner(screen, "Making a catalogue of songs" if source is None else f"Reading {source}"):
        config = make_demo(folder, source)
    typed = CommandLine(config)
    result = run_flow(
        screen,
        typed,
        Selection(limit=limit),
        show_more=lambda: show_rows(screen.out, load_settings(config).dataset.url),
    )
    raise typer.Exit(result.exit_code)


def plan(
    config: Config,
    overrides: Set = None,
    where: Where = None,
    limit: Limit = None,
    out: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Save the plan, for `run --plan` to be held to.")
    ] = None,
    is_json: Json = False,
) -> None:
    """Show what a run would do, cost and take; reads only. What a run would be refused for, it is refused for too."""
    from stemline.cli.planning import plan_tree, preview_selection, show_plan
    from stemline.plan.saved_plan import save_plan
    from stemline.run.selection import Selection

    screen = Screen(is_json=is_json)
    settings, selection = read_config(screen, config, overrides), Selection(where, limit)
    found = preview_selection(screen, settings, selection)
    is_saved = out is not None and found.refusal is None
    if out is not None and is_saved:
        save_plan(out, settings, selection, found)
    if is_json:
        print_json(plan_tree(found))
    else:
        show_plan(screen, found)
    if found.refusal is not None:
        screen.show_error(found.refusal)
        raise typer.Exit(found.refusal.exit_code)
    if is_saved and not is_json:
        screen.note(f"Saved: `stemline run {config} --plan {out}` refuses to do anything else.")


def run(
    config: Config,
    overrides: Set = None,
    where: Where = None,
    limit: Limit = None,
    saved: Annotated[
        Path | None,
        typer.Option(
            "--plan", metavar="FILE", help="Refuse if rows or cost have moved since this plan was saved."
        ),
    ] = None,
    metrics: Annotated[
        str | None,
        typer.Option(metavar="HOST:PORT", help="Answer GET /metrics there, for Prometheus, while it runs."),
    ] = None,
    yes: Yes = False,
    is_json: Json = False,
    with_engine: Engine = False,
) -> None:
    """Process the catalogue; safe to kill and to repeat."""
    from stemline.cli.flow import run_flow
    from stemline.cli.next_step import CommandLine
    from stemline.run.selection import Selection

    screen = Screen(is_json=is_json)
    if metrics is not None:
        overrides = [*(overrides or []), f"telemetry.metrics={metrics}"]
    settings = read_config(screen, config, overrides)
    selection = Selection(where, limit)
    is_asked = not (yes or settings.provider.kind == "local")
    if is_asked:
        require_somebody_to_ask(screen, settings)
    if saved is not None or is_asked:
        from stemline.cli.planning import ask_to_spend, check_saved_plan
        from stemline.run.existing_ledger import upgrade_ledger

        upgrade_ledger(settings)  # a plan only looks at it
        most = None if saved is None else check_saved_plan(screen, settings, selection, saved)
        if is_asked and not ask_to_spend(screen, settings, selection, most):
            raise typer.Exit(130)
    typed = CommandLine(config, overrides or (), ("run", *_row_options(where, limit)))
    result = run_flow(screen, typed, selection, with_engine=with_engine)
    raise typer.Exit(result.exit_code)


def _row_options(where: str | None, limit: int | None) -> tuple[str, ...]:
    """Give the options that choose a run's rows, as they were typed."""
    chosen = () if where is None else ("--where", where)
    return (*chosen, *(() if limit is None else ("--limit", str(limit))))
