"""The commands that tell how things stand, and change no track."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from stemline.cli.completion import complete_release
from stemline.cli.console import Screen, spinner
from stemline.cli.options import Config, Json, Set, print_json, read_config
from stemline.errors import UsageError


def status(
    config: Config,
    overrides: Set = None,
    is_watching: Annotated[
        bool, typer.Option("--watch", help="Show it again every 2 s, until the run is over or Ctrl-C.")
    ] = False,
    is_rejected: Annotated[
        bool,
        typer.Option("--rejected", help="List every row of the manifest that it could not use, and why."),
    ] = False,
    is_json: Json = False,
) -> None:
    """Show where every track of the last run stands."""
    from stemline.cli.rejected_listing import list_rejected, show_rejected
    from stemline.status import read_status

    if is_watching and is_rejected:
        raise UsageError("--watch and --rejected do not go together.", fix="Give one of them.")

    screen = Screen(is_json=is_json)
    settings = read_config(screen, config, overrides)
    try:
        if is_watching:
            from stemline.cli.watch import watch_status

            found = watch_status(screen, settings)
        else:
            found = read_status(settings)
    except KeyboardInterrupt:
        raise typer.Exit(130) from None
    if is_json:
        print_json({**found.as_tree(), **({"rejected": list_rejected(settings)} if is_rejected else {})})
    elif is_rejected:
        show_rejected(screen, found.rejects, list_rejected(settings))
    elif not is_watching:
        found.show(screen.out)


def report(
    config: Config,
    is_dataset: Annotated[
        bool, typer.Option("--dataset", help="About all that is published, rather than the last run.")
    ] = False,
    release: Annotated[
        str | None,
        typer.Option(
            metavar="NAME", autocompletion=complete_release, help="About a release, rather than the last run."
        ),
    ] = None,
    run: Annotated[
        str | None, typer.Option(metavar="ID", help="About this run, rather than the last one.")
    ] = None,
    out: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Write it there, rather than into the dataset.")
    ] = None,
    is_opening: Annotated[bool, typer.Option("--open", help="Show it in the browser.")] = False,
    overrides: Set = None,
    is_json: Json = False,
) -> None:
    """Write the report page of the last run again, or one of the dataset, and say where it is."""
    from stemline.cli.browsing import show_page

    if run is not None and (is_dataset or release is not None):
        raise UsageError(
            "--run is about one run, --dataset and --release about many.", fix="Give one of them."
        )
    screen = Screen(is_json=is_json)
    settings = read_config(screen, config, overrides)
    if is_dataset or release is not None:
        from stemline.report.dataset_page import write_dataset_report

        with spinner(screen, f"Reading the tables of {settings.name}"):
            tree = write_dataset_report(settings, release, out)
    else:
        from stemline.status import write_run_report

        tree = write_run_report(settings, run, out)
    if is_opening:
        show_page(screen, settings, tree["report"])
    if is_json:
        print_json(tree)
    else:
        screen.out.print(tree["report"], markup=False)


def doctor(config: Config, overrides: Set = None, is_json: Json = False) -> None:
    """Check key, balance, clock, ledger, storage, rate limit and Prefect; each with a verdict and the fix."""
    from stemline.doctor import run_checks

    screen = Screen(is_json=is_json)
    results = run_checks(read_config(screen, config, overrides))
    if is_json:
        print_json({"checks": [asdict(result) for result in results]})
    else:
        for result in results:
            screen.tell_verdict(result.name, result.sentence, is_good=result.is_good)
    raise typer.Exit(max((result.exit_code for result in results), default=0))
