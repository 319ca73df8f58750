"""The commands for tracks that came to a bad end, or to none."""

from __future__ import annotations

from typing import Annotated

import typer

from stemline.cli.edge import print_json, read_config
from stemline.cli.flow import run_flow
from stemline.cli.option import Config, Json, Set, Yes
from stemline.console import Screen, confirm
from stemline.errors import UsageError
from stemline.run import Selection
from stemline.settlement import Case, Redrive, Settled, foresee_redrive, open_case, read_codes

Adopt = Annotated[
    str | None, typer.Option(metavar="JOB", help="This job of the provider's is the track's: collect it.")
]
Resubmit = Annotated[
    bool, typer.Option("--resubmit", help="It never arrived: submit it again (paid twice if it did arrive).")
]
Abandon = Annotated[
    bool,
    typer.Option("--abandon", help="Give it up: failed, its credits stay disputed until a balance tells."),
]


def resolve(
    config: Config,
    track: Annotated[str, typer.Argument(help="The track's id.")],
    adopt: Adopt = None,
    resubmit: Resubmit = False,
    abandon: Abandon = False,
    overrides: Set = None,
    is_json: Json = False,
) -> None:
    """Settle a track that is `unknown` by hand; without an option, show what is known about it."""
    screen = Screen(is_json=is_json)
    settings = read_config(screen, config, overrides)
    if [adopt is not None, resubmit, abandon].count(True) > 1:
        raise UsageError(
            "A track is settled in one way.", fix="Give one of --adopt, --resubmit and --abandon."
        )
    with open_case(settings, track) as case:
        if adopt is not None:
            _show_settled(screen, case.adopt(adopt))
        elif resubmit:
            _warn_of_paying_twice(screen, case)
            _show_settled(screen, case.resubmit())
        elif abandon:
            _show_settled(screen, case.abandon())
        else:
            _show_case(screen, case)


def redrive(
    config: Config,
    code: Annotated[list[str] | None, typer.Option(help="Only tracks with this code (repeatable).")] = None,
    limit: Annotated[int | None, typer.Option(min=1, help="Only the first N of them.")] = None,
    overrides: Set = None,
    yes: Yes = False,
    is_json: Json = False,
) -> None:
    """Retry only what failed; what was paid for before goes again only when its code is named."""
    screen = Screen(is_json=is_json)
    settings = read_config(screen, config, overrides)
    selection = Selection(limit=limit, redrive=read_codes(code or ()))
    foreseen = foresee_redrive(settings, selection)
    _show_redrive(screen, foreseen)
    is_asked = not (yes or is_json or settings.provider.kind == "local") and foreseen.tracks
    if is_asked and not confirm(f"Spend up to {foreseen.credits:,} credits with {settings.provider.kind}?"):
        raise typer.Exit(130)
    result = run_flow(screen, config, selection, overrides=overrides)
    raise typer.Exit(result.exit_code)


def _warn_of_paying_twice(screen: Screen, case: Case) -> None:
    attempt = case.attempt
    screen.note(
        f"If the first submit of {attempt.track.track_id} was accepted after all, "
        f"its {attempt.credits_reserved:,} credits are paid twice."
    )


def _show_settled(screen: Screen, settled: Settled) -> None:
    if screen.is_json:
        print_json(settled.as_tree())
        return
    screen.out.print(f"[green]✓[/] [bold]{settled.settled}[/]: ", end="")
    screen.out.print(f"{settled.track_id} is {settled.state} now. {settled.sentence}", markup=False)


def _show_case(screen: Screen, case: Case) -> None:
    dossier = case.look_into()
    if screen.is_json:
        print_json(dossier.as_tree())
    else:
        dossier.show(screen.out)


def _show_redrive(screen: Screen, foreseen: Redrive) -> None:
    """Say on stderr what is retried, what of it is paid for again, and what is left."""
    if not foreseen.chosen:
        screen.note("Nothing to retry.")
    for group in foreseen.chosen:
        again = ", paid again" if group.is_paid_again else ""
        screen.note(f"retried  {group.tracks:,} {group.state} ({group.code}){again}")
    for group in foreseen.left:
        screen.note(
            f"left     {group.tracks:,} {group.state} ({group.code}): `--code {group.code}` would pay again"
        )
    if foreseen.credits_again:
        screen.note(
            f"What was or may have been paid for before is paid again: {foreseen.credits_again:,} credits."
        )
