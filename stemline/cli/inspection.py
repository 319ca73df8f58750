"""The commands that look and change nothing."""

from __future__ import annotations

from dataclasses import asdict
from typing import Annotated

import typer

from stemline.cli.edge import print_json, read_config
from stemline.cli.option import Config, Json, Set
from stemline.cli.watch import watch
from stemline.console import Screen
from stemline.status import read_status


def status(
    config: Config,
    overrides: Set = None,
    is_watching: Annotated[
        bool, typer.Option("--watch", help="Show it again every 2 s, until the run is over or Ctrl-C.")
    ] = False,
    is_json: Json = False,
) -> None:
    """Show where every track of the last run stands."""
    screen = Screen(is_json=is_json)
    settings = read_config(screen, config, overrides)
    try:
        found = watch(screen, lambda: read_status(settings)) if is_watching else read_status(settings)
    except KeyboardInterrupt:
        raise typer.Exit(130) from None
    if is_json:
        print_json(found.as_tree())
    elif not is_watching:
        found.show(screen.out)


def report(config: Config, overrides: Set = None, is_json: Json = False) -> None:
    """Write the report page of the last run again and say where it is."""
    screen = Screen(is_json=is_json)
    where = read_status(read_config(screen, config, overrides), with_report=True).report
    if is_json:
        print_json({"report": where})
    else:
        screen.out.print(where, markup=False)


def doctor(config: Config, overrides: Set = None, is_json: Json = False) -> None:
    """Check key, balance, clock, ledger, storage, rate limit and Prefect; each with a verdict and the fix."""
    from stemline.doctor import examine

    screen = Screen(is_json=is_json)
    verdicts = examine(read_config(screen, config, overrides))
    if is_json:
        print_json({"checks": [asdict(verdict) for verdict in verdicts]})
    else:
        for verdict in verdicts:
            mark = "[green]✓[/]" if verdict.is_good else "[red]✗[/]"
            screen.out.print(f"{mark} {verdict.name:<10} ", end="")
            screen.out.print(verdict.sentence, markup=False)
    raise typer.Exit(max((verdict.exit_code for verdict in verdicts), default=0))
