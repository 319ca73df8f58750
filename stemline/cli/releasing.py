"""The commands for releases: make one, list them, compare two."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from stemline.cli.completion import complete_release
from stemline.cli.console import Screen, spinner
from stemline.cli.options import (
    AllowLicense,
    Config,
    Json,
    RequireAiTraining,
    Set,
    print_json,
    read_config,
    rights_gate,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

    from rich.table import Table

    from stemline.release.difference import ReleaseDifference
    from stemline.release.record import Release
    from stemline.settings import Settings

REASONS_SHOWN = 5
Against = Annotated[
    str | None,
    typer.Option(
        metavar="OTHER",
        autocompletion=complete_release,
        help="Compare with this release: rows that came, went, changed.",
    ),
]
Rows = Annotated[int, typer.Option(min=0, metavar="N", help="Name so many rows of each kind when comparing.")]


def release(
    config: Config,
    name: Annotated[str, typer.Argument(metavar="NAME", help="The release's name, such as 2026-11 or v1.")],
    allow_license: AllowLicense = None,
    require_ai_training: RequireAiTraining = False,
    against: Against = None,
    rows: Rows = 20,
    overrides: Set = None,
    is_json: Json = False,
) -> None:
    """Make a release: a compacted copy of the tables that never changes, with card and Croissant file.

    It lies under `releases/NAME/` of the dataset and shares its audio. Killed, it is made again by the same command.
    Tracks that the rights asked for keep out of it are listed in its folder `refused`, each with the reason.
    """
    from stemline.release.record import require_release
    from stemline.run.releasing import release_dataset
    from stemline.storage import open_store

    screen = Screen(is_json=is_json)
    settings = read_config(screen, config, overrides)
    store = open_store(settings.dataset.url, settings.dataset.storage_options)
    if against is not None:
        require_release(store, against)  # before the work, not behind it
    gate = rights_gate(store, allow_license, is_ai_training_required=require_ai_training)
    with spinner(screen, f"Copying the tables of {settings.name} into the release {name}"):
        made = release_dataset(settings, name, gate=gate)
    difference = None if against is None else _compare(screen, settings, name, against, rows)
    if is_json:
        more = {} if difference is None else {"difference": difference.as_tree()}
        print_json(_summary(settings, made) | more)
        return
    screen.out.print(f"[green]✓[/] [bold]{name}[/] ", end="")
    screen.out.print(_sentence(made), markup=False)
    screen.out.print(f"folder    {_folder(settings, name)}", markup=False)
    for line in _refused_lines(made):
        screen.out.print(line, markup=False)
    if difference is not None:
        _show_difference(screen, difference)


def releases(
    config: Config,
    name: Annotated[
        str | None,
        typer.Argument(
            metavar="[NAME]",
            autocompletion=complete_release,
            help="One release; without it all, or the newest.",
        ),
    ] = None,
    against: Against = None,
    rows: Rows = 20,
    overrides: Set = None,
    is_json: Json = False,
) -> None:
    """List the releases of a dataset, or compare two of them."""
    from stemline.release.record import list_releases, require_release
    from stemline.storage import open_store

    screen = Screen(is_json=is_json)
    settings = read_config(screen, config, overrides)
    store = open_store(settings.dataset.url, settings.dataset.storage_options)
    if against is not None:
        difference = _compare(screen, settings, name, against, rows)
        if is_json:
            print_json(difference.as_tree())
        else:
            _show_difference(screen, difference)
        return
    found, unfinished = ([require_release(store, name)], []) if name else list_releases(store)
    if is_json:
        print_json({"releases": [_summary(settings, each) for each in found], "unfinished": unfinished})
        return
    if found:
        screen.out.print(_table(found))
    else:
        screen.out.print(f"{store.url()} has no release yet.", markup=False)
    for each in unfinished:
        screen.note(f"{each} was begun and not finished: `stemline release {config} {each}` makes it.")


def _compare(
    screen: Screen, settings: Settings, name: str | None, against: str, rows: int
) -> ReleaseDifference:
    from stemline.release.difference import compare_releases

    with spinner(screen, "Comparing"):
        return compare_releases(settings, name, against, rows)


def _summary(settings: Settings, release: Release) -> dict[str, Any]:
    facts = {key: value for key, value in release.facts.items() if key not in {"snapshot", "layout"}}
    return {
        "release": release.name,
        "made_at": release.made_at.isoformat(),
        "folder": _folder(settings, release.name),
        "files": len(release.files),
        "snapshot": release.facts["snapshot"]["number"],
        **facts,
    }


def _refused_lines(release: Release) -> Iterator[str]:
    from stemline.release.record import REFUSED_PATH
    from stemline.wording import counted

    refused = release.facts.get("rights", {}).get("refused", {"tracks": 0, "reasons": {}})
    if refused["tracks"]:
        yield f"refused   {counted(refused['tracks'])}, listed in {REFUSED_PATH} there"
    reasons = list(refused["reasons"].items())
    yield from (f"          {count:,} {reason}" for reason, count in reasons[:REASONS_SHOWN])
    if len(reasons) > REASONS_SHOWN:
        yield "          …"


def _folder(settings: Settings, name: str) -> str:
    from stemline.release.record import release_folder
    from stemline.storage import object_url

    return object_url(settings.dataset.url, release_folder(name))


def _sentence(release: Release) -> str:
    from stemline.wording import hours_text

    counts = release.counts
    rows = ", ".join(f"{counts[table]:,} {table}" for table in release.tables)
    return f"holds {rows}: {hours_text(counts['seconds'])}, {counts['bytes'] / 1e9:,.2f} GB of audio"


def _table(found: list[Release]) -> Table:
    from rich.table import Table

    table = Table(box=None, pad_edge=False)
    table.add_column("release")
    table.add_column("made")
    for column in ("tracks", "stems", "hours", "GB", "parts"):
        table.add_column(column, justify="right")
    for each in found:
        counts = each.counts
        table.add_row(
            each.name,
            f"{each.made_at:%Y-%m-%d %H:%M}",
            f"{counts.get('tracks', 0):,}",
            f"{counts.get('stems', 0):,}",
            f"{counts['seconds'] / 3600:,.1f}",
            f"{counts['bytes'] / 1e9:,.2f}",
            f"{sum(file.rows is not None for file in each.files):,}",
        )
    return table


def _show_difference(screen: Screen, difference: ReleaseDifference) -> None:
    from rich.table import Table

    screen.out.print(f"{difference.release} against {difference.against}", markup=False)
    table = Table(box=None, pad_edge=False)
    table.add_column("table")
    for column in ("came", "went", "changed", "same"):
        table.add_column(column, justify="right")
    for name, each in difference.tables.items():
        table.add_row(name, f"{each.came:,}", f"{each.went:,}", f"{each.changed:,}", f"{each.same:,}")
    screen.out.print(table)
    for name, each in difference.tables.items():
        for line in each.lines():
            screen.out.print(f"{name}: {line}", markup=False)
