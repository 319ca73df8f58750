"""`stemline init`: from a folder or a manifest to a configuration and its plan."""

from __future__ import annotations

import os
import shlex
import sys
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from stemline.cli.console import Screen
from stemline.cli.options import Json, print_json
from stemline.cli.program_name import called_as

if TYPE_CHECKING:
    from collections.abc import Callable

    from stemline.onboarding.first_config import Catalogue, Wishes

_NONE = "-"
_LONGEST_EXAMPLE = 30
_SHOWN_NAMES = 30


def init(
    music: Annotated[
        str | None, typer.Option(metavar="FOLDER", help="A folder, prefix or glob of audio files.")
    ] = None,
    manifest: Annotated[
        str | None,
        typer.Option(metavar="FILE", help="A .csv, .tsv, .jsonl or .parquet, a row a track; a path or URL."),
    ] = None,
    provider: Annotated[
        str | None,
        typer.Option(metavar="NAME", help="stemsplit, aistemsplitter, or local: free, without a key."),
    ] = None,
    dataset: Annotated[
        str | None,
        typer.Option(metavar="URL", help="Where the stems go: a folder, or a URL such as s3://bucket/stems."),
    ] = None,
    columns: Annotated[
        list[str] | None,
        typer.Option(
            "--column",
            metavar="OURS=THEIRS",
            help="Which column is which, such as title=Song; title= for none (repeatable).",
        ),
    ] = None,
    out: Annotated[Path, typer.Option(metavar="FILE", help="The configuration to write.")] = Path(
        "stemline.yaml"
    ),
    force: Annotated[bool, typer.Option("--force", help="Write over a configuration that is there.")] = False,
    yes: Annotated[
        bool, typer.Option("--yes", "-y", help="Take the proposed columns without being asked.")
    ] = False,
    is_json: Json = False,
) -> None:
    """Write a first configuration, and show the plan.

    Asks for what no flag gives, and proposes which of a manifest's columns is which.

    Nothing is spent, and nothing but the configuration is written.
    """
    from stemline.onboarding.first_config import Wishes, check_wishes, look_at_catalogue, save_config

    screen = Screen(is_json=is_json)
    is_asking = not is_json and sys.stdin.isatty()
    _require_free(out, is_forced=force, is_asking=is_asking)
    wishes = Wishes(music, manifest, provider, dataset, tuple(columns or ()))
    wishes = _ask_missing(wishes) if is_asking else wishes
    check_wishes(wishes)
    catalogue = look_at_catalogue(wishes)
    if not is_json:
        _show_columns(screen, catalogue)
    if is_asking and not yes and not catalogue.sample.is_listing:
        catalogue = _let_correct(screen, catalogue)
    save_config(out, wishes, catalogue)
    screen.note(f"Wrote {out}.")
    _end_with_plan(screen, out, wishes, catalogue)


def _require_free(out: Path, *, is_forced: bool, is_asking: bool) -> None:
    """Refuse to write over a file, unless a person says so."""
    from stemline.errors import UsageError

    if is_forced or not out.exists():
        return
    if not is_asking:
        raise UsageError(
            f"{out} is there already.", fix="Give --force to write over it, or --out another file."
        )
    if not typer.confirm(f"{out} is there already. Write over it?"):
        raise typer.Exit(0)


def _ask_missing(wishes: Wishes) -> Wishes:
    """Ask for what no flag gave; an answer that cannot be is asked for again."""
    from stemline.onboarding.first_config import check_dataset, look_at_catalogue
    from stemline.settings import known_kinds, load_facts

    if not wishes.catalogue:
        asked = "Where is your music, or the .csv, .tsv, .jsonl or .parquet that lists it?"
        place = _ask(asked, lambda answer: look_at_catalogue(replace(wishes, manifest=answer)))
        wishes = replace(wishes, manifest=place)
    if not wishes.provider:
        kinds = ", ".join(known_kinds())
        asked = f"Which service separates it ({kinds}; local is free and needs no key)?"
        wishes = replace(wishes, provider=_ask(asked, load_facts, default="local"))
    if not wishes.dataset:
        asked = "Where do the stems go, a folder or a URL such as s3://bucket/stems?"
        wishes = replace(wishes, dataset=_ask(asked, check_dataset, default="stems"))
    return wishes


def _ask(question: str, check: Callable[[str], object], default: str | None = None) -> str:
    """Ask until an answer passes `check`, which raises StemlineError."""
    from stemline.errors import StemlineError

    def checked(answer: str) -> str:
        try:
            check(answer.strip())
        except StemlineError as error:
            raise typer.BadParameter(str(error)) from error
        return answer.strip()

    answer: str = typer.prompt(question, default=default, value_proc=checked)
    return answer


def _show_columns(screen: Screen, catalogue: Catalogue) -> None:
    """Show what each of our columns is taken from."""
    from rich.table import Table

    from stemline.onboarding.proposal import example_of

    sample = catalogue.sample
    if sample.is_listing:
        screen.out.print(
            f"{catalogue.place}: artist, title and album come from tags, else from names.", markup=False
        )
        return
    table = Table("column", "taken from", "for example", title="Columns", title_justify="left", box=None)
    theirs_of = _taken(catalogue)
    for ours, theirs in theirs_of.items():
        example = example_of(sample, theirs)
        if len(example) > _LONGEST_EXAMPLE:
            example = f"{example[: _LONGEST_EXAMPLE - 1]}…"
        table.add_row(ours, _plain(theirs), _plain(example))
    screen.out.print(table, soft_wrap=False)
    others = [name for name in sample.names if name not in theirs_of.values()]
    if others:
        rest = f" and {len(others) - _SHOWN_NAMES:,} more" if len(others) > _SHOWN_NAMES else ""
        screen.out.print(f"Kept as they are: {', '.join(others[:_SHOWN_NAMES])}{rest}", markup=False)
    for note in catalogue.proposal.notes:
        screen.out.print(note, markup=False)


def _plain(text: str) -> Any:  # noqa: ANN401 - Rich is not imported above
    from rich.text import Text

    return Text(text)  # what looks like markup in it is not


def _taken(catalogue: Catalogue) -> dict[str, str]:
    """Give each of our columns that the manifest has, with its name there."""
    native = {each.ours: each.theirs for each in catalogue.proposal.columns if not each.is_mapped}
    free = {ours: theirs for ours, theirs in native.items() if theirs not in catalogue.columns.values()}
    return free | dict(catalogue.columns)


def _let_correct(screen: Screen, catalogue: Catalogue) -> Catalogue:
    """Ask whether the columns are right, and for each of them until they are."""
    from stemline.errors import StemlineError
    from stemline.onboarding.first_config import with_columns
    from stemline.settings.column_mapping import MAPPED_COLUMNS

    while not typer.confirm("Is this right?", default=True):
        typer.echo(f"The manifest's columns: {', '.join(catalogue.sample.names)}. Type {_NONE} for none.")
        given, taken = {}, _taken(catalogue)
        for ours in MAPPED_COLUMNS:
            answer = typer.prompt(ours, default=taken.get(ours, _NONE)).strip()
            given[ours] = "" if answer == _NONE else answer
        try:
            catalogue = with_columns(catalogue, given)
        except StemlineError as error:
            screen.show_error(error)
        else:
            _show_columns(screen, catalogue)
    return catalogue


def _end_with_plan(screen: Screen, out: Path, wishes: Wishes, catalogue: Catalogue) -> None:
    """Show the plan and the command that comes next; a provider is asked only with a key of the person's."""
    from stemline.cli.planning import plan_tree, preview_selection, read_selection, show_plan
    from stemline.onboarding.first_config import settings_to_plan
    from stemline.run.selection import Selection
    from stemline.settings import load_facts

    variable = load_facts(str(wishes.provider)).key_variable
    lacks_key = variable is not None and not os.environ.get(variable)
    preview = read_selection if lacks_key else preview_selection
    plan = preview(screen, settings_to_plan(out, variable), Selection())
    file = f"./{out}" if str(out).startswith("-") else str(out)
    next_command = f"{shlex.quote(called_as())} run {shlex.quote(file)}"
    if screen.is_json:
        tree = {"config": str(out), "columns": dict(catalogue.columns), "plan": plan_tree(plan)}
        print_json({**tree, "next": next_command})
    else:
        show_plan(screen, plan)
    if plan.refusal is not None:
        screen.show_error(plan.refusal)
    if not screen.is_json:
        export = [f"  export {variable}=…"] if lacks_key else []
        lead = "\nNext:" if plan.refusal is None else "\nNext, once that is mended:"
        screen.out.print(lead, *export, f"  {next_command}", sep="\n", markup=False)
    if plan.refusal is not None:
        raise typer.Exit(plan.refusal.exit_code)
