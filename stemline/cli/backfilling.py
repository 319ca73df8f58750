"""The commands for backfills: one begun or gone on with, and those there are listed and steered."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from stemline.cli.completion import one_of
from stemline.cli.console import Screen, confirm, require_somebody_to_ask
from stemline.cli.options import Config, Engine, Json, Set, Where, Yes, print_json, read_config
from stemline.errors import UsageError

ORDERS = one_of("newest", "oldest", "priority", "shortest")


def backfill(
    config: Config,
    overrides: Set = None,
    since: Annotated[str | None, typer.Option(metavar="D", help="Rows from this day on.")] = None,
    until: Annotated[str | None, typer.Option(metavar="D", help="Rows before this day.")] = None,
    by: Annotated[
        str | None, typer.Option(metavar="COLUMN", help="The column with the dates (default: released_on).")
    ] = None,
    where: Where = None,
    mode: Annotated[
        str | None,
        typer.Option(
            metavar="MODE",
            autocompletion=one_of("missing", "failed", "stale", "all"),
            help="missing, failed, stale or all (default: missing).",
        ),
    ] = None,
    order: Annotated[
        str | None,
        typer.Option(
            metavar="ORDER",
            autocompletion=ORDERS,
            help="newest, oldest, priority or shortest (default: newest).",
        ),
    ] = None,
    slice_: Annotated[
        str | None,
        typer.Option(
            "--slice",
            metavar="SLICE",
            autocompletion=one_of("day", "week", "month", "year"),
            help="day, week, month or year (default: month).",
        ),
    ] = None,
    credits_: Annotated[
        int | None, typer.Option("--credits", min=1, metavar="N", help="Its own ceiling.")
    ] = None,
    share: Annotated[
        str | None,
        typer.Option(metavar="N%", help="Its part of the rate and of the day's credits (default: 100%)."),
    ] = None,
    name: Annotated[
        str | None, typer.Option(metavar="NAME", help="Its name; the same one again goes on with it.")
    ] = None,
    deadline: Annotated[
        str | None, typer.Option(metavar="D", help="Say whether it can be done by this day.")
    ] = None,
    is_dry_run: Annotated[bool, typer.Option("--dry-run", help="Show the slices and end.")] = False,
    out: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Save what --dry-run shows, for --plan to be held to.")
    ] = None,
    saved: Annotated[
        Path | None, typer.Option("--plan", metavar="FILE", help="Refuse if it has moved since it was saved.")
    ] = None,
    yes: Yes = False,
    is_json: Json = False,
    with_engine: Engine = False,
) -> None:
    """Freeze a part of the catalogue and make it into stems, slice by slice; safe to kill and to repeat."""
    from stemline.cli.backfill_command import BackfillCommand

    words = {
        "since": since,
        "until": until,
        "by": by,
        "where": where,
        "mode": mode,
        "order": order,
        "slice": slice_,
    }
    screen = Screen(is_json=is_json)
    settings = read_config(screen, config, overrides)
    command = BackfillCommand.read(
        screen, settings, name, words, ceiling=credits_, share=share, deadline=deadline
    )
    if is_dry_run:
        command.show_only(out, saved)
        return
    if out is not None:
        raise UsageError("--out saves what --dry-run shows.", fix="Give it with --dry-run.")
    is_asked = not (yes or settings.provider.kind == "local")
    if is_asked:
        require_somebody_to_ask(screen, settings)
    if not command.agree(saved, confirm if is_asked else None, is_agreed=yes):
        raise typer.Exit(130)
    raise typer.Exit(command.carry_out(config, overrides, with_engine=with_engine))


def backfills(
    config: Config,
    overrides: Set = None,
    pause: Annotated[
        str | None, typer.Option(metavar="NAME", help="Send nothing more of it for now.")
    ] = None,
    resume: Annotated[str | None, typer.Option(metavar="NAME", help="Let it go on.")] = None,
    cancel: Annotated[
        str | None, typer.Option(metavar="NAME", help="Send nothing more of it; what was sent is collected.")
    ] = None,
    change: Annotated[
        str | None, typer.Option(metavar="NAME", help="With --order, --credits or --share: change these.")
    ] = None,
    order: Annotated[
        str | None,
        typer.Option(metavar="ORDER", autocompletion=ORDERS, help="newest, oldest, priority or shortest."),
    ] = None,
    credits_: Annotated[
        int | None, typer.Option("--credits", min=1, metavar="N", help="Its ceiling.")
    ] = None,
    share: Annotated[
        str | None, typer.Option(metavar="N%", help="Its part of the rate and of the day's credits.")
    ] = None,
    is_json: Json = False,
) -> None:
    """List the backfills with progress and cost; pause, resume, cancel or change one, from any machine."""
    from stemline.backfill.steering import list_backfills, steer_backfill
    from stemline.cli.backfill_tables import backfills_table

    screen = Screen(is_json=is_json)
    settings = read_config(screen, config, overrides)
    told = steer_backfill(
        settings,
        pause=pause,
        resume=resume,
        cancel=cancel,
        change=change,
        order=order,
        ceiling=credits_,
        share=share,
    )
    for sentence in told:
        screen.note(sentence)
    trees = list_backfills(settings)
    if is_json:
        print_json({"backfills": trees})
    elif trees:
        screen.out.print(backfills_table(trees))
    else:
        screen.note("There is no backfill yet: `stemline backfill` begins one.")
