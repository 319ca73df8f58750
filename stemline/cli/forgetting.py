"""The command that takes tracks out of everything for good."""

from __future__ import annotations

import sys
from collections.abc import Iterable
from typing import TYPE_CHECKING, Annotated

import typer

from stemline.cli.console import Screen, confirm, spinner
from stemline.cli.options import Config, Json, Set, print_json, read_config
from stemline.errors import UsageError
from stemline.wording import bytes_text, counted

if TYPE_CHECKING:
    from stemline.forgetting.choice import ForgetChoice
    from stemline.run.forgetting import ForgettingPreview, ForgettingReport

SHOWN = 10
DryRun = Annotated[bool, typer.Option("--dry-run", help="Tell what would go, and change nothing.")]
Agreed = Annotated[
    bool, typer.Option("--yes", "-y", help="Do it without being asked; required without a terminal.")
]


def forget(
    config: Config,
    track: Annotated[list[str] | None, typer.Option(metavar="ID", help="A track's id (repeatable).")] = None,
    isrc: Annotated[list[str] | None, typer.Option(metavar="ISRC", help="An ISRC (repeatable).")] = None,
    artist: Annotated[
        list[str] | None,
        typer.Option(metavar="NAME", help="An artist, as the tables have the name (repeatable)."),
    ] = None,
    where: Annotated[
        str | None, typer.Option(metavar="SQL", help="SQL filter over the tracks table's columns.")
    ] = None,
    reason: Annotated[str, typer.Option(metavar="TEXT", help="Why: kept in tombstone and certificate.")] = "",
    dry_run: DryRun = False,
    yes: Agreed = False,
    overrides: Set = None,
    is_json: Json = False,
) -> None:
    """Forget tracks: rows, audio, quarantine, releases, reports and what the ledger knows; later runs reject them."""
    from stemline.forgetting.choice import ForgetChoice
    from stemline.run.forgetting import open_forgetting

    screen = Screen(is_json=is_json)
    choice = ForgetChoice(tuple(track or ()), tuple(isrc or ()), tuple(artist or ()), where)
    settings = read_config(screen, config, overrides)
    with open_forgetting(settings) as command:
        finished = None if dry_run else command.finish()
        if finished is not None:
            screen.note(f"Finished what was cut off: {finished.key}")
        with spinner(screen, "Looking for what is meant"):
            preview = command.look(choice, reason)
        if dry_run:
            is_meant = bool(preview.order.tracks or preview.under_way)
            if not is_meant and not screen.is_json:
                raise _nothing_matches(preview)
            _show_preview(screen, preview)
            raise typer.Exit(0 if is_meant else 2)
        if finished is not None and not preview.order.tracks and not preview.under_way:
            _show_report(screen, finished, choice)
            raise typer.Exit(finished.exit_code)
        if preview.under_way and not preview.order.tracks:
            _show_preview(screen, preview)
            raise typer.Exit(3)
        _require_consent(screen, preview, is_agreed=yes)
        report = command.forget(preview, choice, lambda place: screen.note(f"emptying {place} …"))
    _show_report(screen, report, choice)
    raise typer.Exit(report.exit_code)


def _require_consent(screen: Screen, preview: ForgettingPreview, *, is_agreed: bool) -> None:
    """Raise UsageError for what matches nothing, or where nobody can be asked."""
    if not preview.order.tracks:
        raise _nothing_matches(preview)
    if is_agreed:
        return
    if screen.is_json or not sys.stdin.isatty():
        raise UsageError(
            "Forgetting cannot be undone, and there is nobody to ask whether it is meant.",
            fix="Look with --dry-run, then add --yes.",
        )
    _show_preview(screen, preview)
    if not confirm(f"Forget {counted(len(preview.order.tracks))} for good?"):
        raise typer.Exit(130)


def _nothing_matches(preview: ForgettingPreview) -> UsageError:
    near = f" Near to it are: {', '.join(preview.near)}." if preview.near else ""
    return UsageError(
        f"Nothing here is what was asked for.{near}",
        fix="Look for it with --where and --dry-run, such as --where \"artist ILIKE '%simone%'\".",
    )


def _show_preview(screen: Screen, preview: ForgettingPreview) -> None:
    from stemline.run.forgetting import WAITING

    if screen.is_json:
        print_json({"is_done": False, **preview.as_tree()})
        return
    out = screen.out
    out.print(
        f"tracks    {len(preview.order.tracks):,}: {_some(sorted(preview.order.track_ids))}", markup=False
    )
    for place, found in preview.places.items():
        if found:
            what = [
                counted(count, noun)
                for count, noun in ((found.objects, "object"), (found.rows, "row"))
                if count
            ]
            size = [bytes_text(found.bytes)] if found.bytes else []
            out.print(f"{place}: {', '.join([*what, *size])}", markup=False)
            _show_names(screen, found.names)
    for each in preview.exports:
        screen.tell_path("export", f"{each['to']}: yours to act on, named in")
        screen.tell_path("", each["named_in"])
    if preview.under_way:
        names = _some(f"{track_id} ({state})" for track_id, state in preview.under_way.items())
        out.print(f"left      {names}. {WAITING}", markup=False)
    if preview.near:
        out.print(f"near      {', '.join(preview.near)}: not meant, unless you name them", markup=False)


def _show_report(screen: Screen, report: ForgettingReport, choice: ForgetChoice) -> None:
    from stemline.run.forgetting import WAITING

    if screen.is_json:
        print_json(report.as_tree())
        return
    certificate, out = report.certificate, screen.out
    out.print(f"forgotten {counted(len(certificate.tombstone.tracks))}", markup=False)
    for each in certificate.places:
        mark = "✓" if each.is_empty else "✗"
        found = f"{each.found.get('objects', 0):,} objects, {each.found.get('rows', 0):,} rows before"
        out.print(
            f"{mark} {each.place}: {found}, {'nothing' if each.is_empty else 'something'} left", markup=False
        )
    for export in certificate.exports:
        out.print(f"export    {export['to']} ({export['named_in']}): yours to act on", markup=False)
    for sentence in certificate.outside:
        out.print(f"outside   {sentence}", markup=False)
    if report.under_way:
        names = _some(f"{track_id} ({state})" for track_id, state in report.under_way.items())
        out.print(f"left      {names}. {WAITING}", markup=False)
    later = {
        "artist": "Later tracks of this artist are rejected too.",
        "isrc": "So is any row with this ISRC.",
    }
    out.print(
        f"later     Rows of these tracks are rejected. {later.get(choice.way, '')}".rstrip(), markup=False
    )
    out.print(f"proof     {report.key}", markup=False)


def _show_names(screen: Screen, names: tuple[str, ...]) -> None:
    """Name the first objects, each on a line of its own: their paths are long, and copied."""
    for name in names[:SHOWN]:
        screen.out.print(f"  {name}", markup=False, soft_wrap=True)
    if len(names) > SHOWN:
        screen.out.print(f"  and {len(names) - SHOWN:,} more")


def _some(names: Iterable[str]) -> str:
    listed = list(names)
    return ", ".join(listed[:SHOWN]) + (", …" if len(listed) > SHOWN else "")
