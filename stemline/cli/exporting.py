"""The command that writes a dataset out in forms for training."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Annotated

import typer

from stemline.cli.completion import complete_release, one_of
from stemline.cli.console import Screen
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
from stemline.wording import bytes_text, counted

if TYPE_CHECKING:
    from stemline.export.exporting import ExportOutcome

SHOWN = 20
To = Annotated[
    str,
    typer.Option(
        "--to",
        metavar="FORM",
        autocompletion=one_of("hf", "webdataset", "msst", "shar"),
        help="hf, webdataset, msst or shar.",
    ),
]
Out = Annotated[str, typer.Option("--out", metavar="URL", help="An empty folder or fsspec URL.")]
Release = Annotated[
    str | None,
    typer.Option(
        metavar="NAME",
        autocompletion=complete_release,
        help="A release; without it the dataset as it is now.",
    ),
]
Split = Annotated[str | None, typer.Option(metavar="S", help="This split alone.")]
TrackFilter = Annotated[
    str | None, typer.Option(metavar="SQL", help="SQL filter over the tracks table's columns.")
]
Stems = Annotated[
    str | None, typer.Option(metavar="NAME,…", help="These stems alone; tracks that lack one are left out.")
]
SampleRate = Annotated[int | None, typer.Option(metavar="HZ", help="Resample.")]
Mono = Annotated[bool, typer.Option("--mono", help="Mix down to one channel.")]
Seconds = Annotated[float | None, typer.Option(metavar="N", help="Cut each track into windows of N seconds.")]


def export(
    config: Config,
    to: To,
    out: Out,
    release: Release = None,
    split: Split = None,
    where: TrackFilter = None,
    stems: Stems = None,
    allow_license: AllowLicense = None,
    require_ai_training: RequireAiTraining = False,
    sample_rate: SampleRate = None,
    mono: Mono = False,
    seconds: Seconds = None,
    overrides: Set = None,
    is_json: Json = False,
) -> None:
    """Write tracks and stems out in a form that training code reads. Killed, the same command goes on with it.

    Exit 3: some tracks are left out, because their audio is gone or altered.
    """
    from stemline.export.exporting import export_dataset
    from stemline.export.options import ExportOptions
    from stemline.storage import open_store

    screen = Screen(is_json=is_json)
    settings = read_config(screen, config, overrides)
    names = tuple(name.strip() for name in (stems or "").split(",") if name.strip())
    store = open_store(settings.dataset.url, settings.dataset.storage_options)
    gate = rights_gate(store, allow_license, is_ai_training_required=require_ai_training)
    options = ExportOptions(to, release, split, where, names, sample_rate, mono, seconds, gate)
    with _progress(screen) as on_progress:
        outcome = export_dataset(settings, options, out, on_progress)
    if is_json:
        print_json(outcome.as_tree())
    else:
        _show_outcome(screen, outcome)
    raise typer.Exit(3 if outcome.left_out else 0)


@contextmanager
def _progress(screen: Screen) -> Iterator[Callable[[int, int], None]]:
    """Give what is told of tracks that are through: a bar on a terminal, else a line now and then."""
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    if screen.is_redrawing:
        columns = (TextColumn("Exporting"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
        with Progress(*columns, console=screen.notes, transient=True) as bar:
            task = bar.add_task("export", total=None)
            yield lambda done, total: bar.update(task, completed=done, total=total)
        return
    told = [-1]

    def tell(done: int, total: int) -> None:
        tenth = 10 * done // max(total, 1)
        if tenth > told[0]:
            told[0] = tenth
            screen.note(f"{done:,} of {counted(total, 'track')} …")

    yield tell


def _show_outcome(screen: Screen, outcome: ExportOutcome) -> None:
    record = outcome.record
    for reason, count in list(record["refused"]["reasons"].items())[:SHOWN]:
        screen.note(f"refused   {counted(count)}: {reason}")
    for each in outcome.left_out[:SHOWN]:
        screen.note(f"left out  {each['track_id']}: {each['reason']}")
    if len(outcome.left_out) > SHOWN:
        screen.note(f"left out  and {len(outcome.left_out) - SHOWN:,} more: export.json names all")
    samples = sum(each["samples"] for each in record["splits"].values())
    size = sum(each["size_bytes"] for each in record["files"])
    if not outcome.is_new:
        screen.out.print("This very export is there already: nothing was done.")
    elif outcome.resumed:
        screen.note(f"Went on with {counted(outcome.resumed, 'shard')} that were finished before.")
    screen.out.print(
        f"[green]✓[/] {counted(samples, 'sample')} in {counted(len(record['shards']), 'shard')}, {bytes_text(size)}"
    )
    screen.out.print(f"export    {outcome.target}", markup=False)
