"""The command that holds a dataset against what is known of it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from stemline.cli.console import Screen, spinner
from stemline.cli.options import Config, Json, Set, print_json, read_config
from stemline.wording import counted

if TYPE_CHECKING:
    from stemline.integrity.finding import IntegrityReport

SHOWN = 50
"""How many findings of a kind are shown; `--json` has all."""


def verify(
    config: Config,
    sample: Annotated[
        int | None,
        typer.Option(min=0, metavar="N", help="Read N audio objects, not all: always the same ones."),
    ] = None,
    is_decoding: Annotated[
        bool, typer.Option("--decode", help="Decode each audio object that is read.")
    ] = False,
    is_repairing: Annotated[
        bool, typer.Option("--repair", help="Mend what can be mended for nothing, and say what cannot.")
    ] = False,
    overrides: Set = None,
    is_json: Json = False,
) -> None:
    """Hold every part and audio object against tables, snapshot and ledger: missing, extra, altered.

    Exit 0: every byte is the one that was verified. Exit 3: a list of what is not.
    """
    from stemline.integrity.repair import repair_dataset
    from stemline.integrity.verification import Thoroughness, verify_dataset

    screen = Screen(is_json=is_json)
    settings = read_config(screen, config, overrides)
    with spinner(screen, "Looking at the dataset"):
        look = repair_dataset if is_repairing else verify_dataset
        report = look(settings, Thoroughness(sample, is_decoding))
    if is_json:
        print_json(report.as_tree())
    else:
        _show_integrity(screen, report)
        if not (report.is_sound or is_repairing):
            from stemline.cli.flow import show_next_step
            from stemline.cli.next_step import CommandLine, NextStep

            words = CommandLine(config, overrides or ()).of("verify", "--repair")
            why = "Mend what can be mended for nothing, and see what helps with the rest."
            show_next_step(screen, NextStep(words, why))
    raise typer.Exit(0 if report.is_sound else 3)


def _show_integrity(screen: Screen, report: IntegrityReport) -> None:
    lines = [
        *(
            ("mended" if each.is_mended else "unmended", f"{each.path}: {each.sentence}")
            for each in report.outcomes or ()
        ),
        *((each.kind.value, f"{each.path}: {each.sentence}") for each in report.damages),
        *((each.fault.value.replace("_", " "), each.sentence) for each in report.rows),
        *((each.what, f"{each.path} was begun and has not ended.") for each in report.leftovers),
    ]
    shown: dict[str, int] = {}
    for word, sentence in lines:
        shown[word] = shown.get(word, 0) + 1
        if shown[word] <= SHOWN:
            screen.out.print(f"{word:<14}{sentence}", markup=False)
    for word, count in shown.items():
        if count > SHOWN:
            screen.out.print(f"{word:<14}and {count - SHOWN:,} more: `--json` names all", markup=False)
    for note in report.notes:
        screen.note(note)
    screen.out.print(
        f"looked at     {report.parts:,} parts, {counted(report.releases, 'release')}, "
        f"{report.objects:,} audio objects, {report.read:,} read"
    )
    screen.out.print(f"dataset       {report.dataset}", markup=False)
    if report.is_sound:
        screen.out.print("[green]✓[/] Nothing is missing, extra or altered.")
