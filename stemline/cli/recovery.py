"""The commands for tracks that failed, and for those of which it is not known."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Annotated

import typer

from stemline.cli.completion import complete_code
from stemline.cli.console import Screen, confirm, require_somebody_to_ask
from stemline.cli.options import Config, Json, Set, Yes, print_json, read_config
from stemline.errors import UsageError

if TYPE_CHECKING:
    from stemline.resolution.redrive import RedrivePreview
    from stemline.resolution.unknown_track import Resolution, UnknownTrack

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

Accept = Annotated[
    bool, typer.Option("--accept", help="It is quarantined and right: publish it as it is, marked so.")
]


def resolve(
    config: Config,
    track: Annotated[str, typer.Argument(metavar="TRACK", help="The track's id.")],
    adopt: Adopt = None,
    resubmit: Resubmit = False,
    abandon: Abandon = False,
    accept: Accept = False,
    overrides: Set = None,
    is_json: Json = False,
) -> None:
    """Resolve a track by hand: an `unknown` one (without an option, show what is known), or a `quarantined` one."""
    from stemline.resolution.unknown_track import open_unknown_track

    screen = Screen(is_json=is_json)
    settings = read_config(screen, config, overrides)
    if [adopt is not None, resubmit, abandon, accept].count(True) > 1:
        raise UsageError(
            "A track is resolved in one way.", fix="Give one of --adopt, --resubmit, --abandon and --accept."
        )
    if accept:
        from stemline.resolution.quarantined_track import accept_track

        _show_resolution(screen, accept_track(settings, track))
        return
    with open_unknown_track(settings, track) as unknown:
        if adopt is not None:
            _show_resolution(screen, unknown.adopt(adopt))
        elif resubmit:
            _warn_of_paying_twice(screen, unknown)
            _show_resolution(screen, unknown.resubmit())
        elif abandon:
            _show_resolution(screen, unknown.abandon())
        else:
            _show_unknown(screen, unknown)


def redrive(
    config: Config,
    code: Annotated[
        list[str] | None,
        typer.Option(
            metavar="CODE", autocompletion=complete_code, help="Only tracks with this code (repeatable)."
        ),
    ] = None,
    limit: Annotated[int | None, typer.Option(min=1, metavar="N", help="Only the first N of them.")] = None,
    overrides: Set = None,
    yes: Yes = False,
    is_json: Json = False,
) -> None:
    """Retry only what failed; what was paid for before goes again only when its code is named."""
    from stemline.cli.flow import run_flow
    from stemline.cli.next_step import CommandLine, NextStep
    from stemline.resolution.redrive import preview_redrive, read_codes
    from stemline.run.selection import Selection

    screen = Screen(is_json=is_json)
    settings = read_config(screen, config, overrides)
    selection = Selection(limit=limit, redrive=read_codes(code or ()))
    preview = preview_redrive(settings, selection)
    typed = CommandLine(config, overrides or ())
    _show_redrive(screen, preview, lambda code: NextStep(typed.of("redrive", "--code", code), "").command)
    if preview.chosen and not (yes or settings.provider.kind == "local"):
        require_somebody_to_ask(screen, settings)
        if not confirm(f"Spend up to {preview.credits:,} credits with {settings.provider.kind}?"):
            raise typer.Exit(130)
    named = [word for each in code or () for word in ("--code", each)]
    result = run_flow(screen, CommandLine(config, overrides or (), ("redrive", *named)), selection)
    raise typer.Exit(result.exit_code)


def _warn_of_paying_twice(screen: Screen, unknown: UnknownTrack) -> None:
    attempt = unknown.attempt
    screen.note(
        f"If the first submit of {attempt.track.track_id} was accepted after all, "
        f"its {attempt.credits_reserved:,} credits are paid twice."
    )


def _show_resolution(screen: Screen, resolution: Resolution) -> None:
    if screen.is_json:
        print_json(resolution.as_tree())
        return
    screen.out.print(f"[green]✓[/] [bold]{resolution.way}[/]: ", end="")
    screen.out.print(f"{resolution.track_id} is {resolution.state} now. {resolution.sentence}", markup=False)


def _show_unknown(screen: Screen, unknown: UnknownTrack) -> None:
    report = unknown.report()
    if screen.is_json:
        print_json(report.as_tree())
    else:
        report.show(screen.out)


def _show_redrive(screen: Screen, preview: RedrivePreview, command_of: Callable[[str], str]) -> None:
    """Say on stderr what is retried, what of it is paid for again, and what is left."""
    if not preview.tracks:
        screen.note("Nothing to retry.")
    for group in preview.free:
        screen.note(
            f"collected again {group.tracks:,} {group.state} ({group.code}), for nothing: they are paid"
        )
    for group in preview.chosen:
        again = ", paid again" if group.is_paid_again else ""
        screen.note(f"retried  {group.tracks:,} {group.state} ({group.code}){again}")
    for group in preview.left:
        command = command_of(group.code)
        screen.note(f"left     {group.tracks:,} {group.state} ({group.code}): `{command}` would pay again")
    if preview.credits_again:
        screen.note(
            f"What was or may have been paid for before is paid again: {preview.credits_again:,} credits."
        )
