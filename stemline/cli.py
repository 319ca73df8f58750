"""The `stemline` command."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from dataclasses import asdict
from importlib.metadata import entry_points
from pathlib import Path
from typing import Annotated, Any

import typer

from stemline import __version__
from stemline.console import RunDisplay, Screen, confirm, spinner
from stemline.errors import StemlineError, UsageError
from stemline.plan import preview
from stemline.run import Result, Selection, observed_by, source_of
from stemline.service import DEFAULT_CREDITS, DEFAULT_WORKERS, ApiKey, Options
from stemline.settings import Settings, has_literal_key, load_facts, load_settings
from stemline.status import Status, read_status

app = typer.Typer(
    name="stemline",
    help="Turn a music catalogue into a stems dataset.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)

Config = Annotated[Path, typer.Argument(help="The configuration file.")]
Set = Annotated[
    list[str] | None, typer.Option("--set", metavar="KEY=VALUE", help="Override any key (repeatable).")
]
Where = Annotated[str | None, typer.Option(help="SQL filter over the manifest's columns.")]
Limit = Annotated[int | None, typer.Option(min=1, help="Only the first N selected rows.")]
Json = Annotated[bool, typer.Option("--json", help="Print one JSON object on stdout, nothing else.")]
Engine = Annotated[bool, typer.Option("--prefect", help="Run under Prefect's engine even without a server.")]


@app.command()
def demo(
    folder: Annotated[Path, typer.Option(help="Where everything goes.")] = Path("demo"),
    source: Annotated[
        Path | None, typer.Option("--from", help="A folder of your own music to use instead.")
    ] = None,
    limit: Limit = None,
    is_json: Json = False,
) -> None:
    """Make a small catalogue of songs and turn it into a dataset: no key, no network."""
    from stemline.demo import make_demo, show_rows

    screen = Screen(is_json=is_json)
    with spinner(screen, "Making a catalogue of songs" if source is None else f"Looking at {source}"):
        config = make_demo(folder, source)
    result = _run(screen, config, Selection(limit=limit))
    if not is_json:
        show_rows(screen.out, load_settings(config).dataset.url)
        screen.out.print(
            f"\nTry next:\n  stemline status {config}\n  stemline plan {config}\n  stemline run {config}"
        )
    raise typer.Exit(result.exit_code)


@app.command()
def plan(
    config: Config, overrides: Set = None, where: Where = None, limit: Limit = None, is_json: Json = False
) -> None:
    """Show what a run would do, cost and take; reads only."""
    screen = Screen(is_json=is_json)
    settings = _load(screen, config, overrides)
    with spinner(screen, "Reading the catalogue"):
        found = preview(
            settings, source_of(settings, Selection(where, limit)), load_facts(settings.provider.kind)
        )
    if not is_json:
        screen.show_plan(found)
        return
    _print_json(
        {
            "tracks": {
                "new": found.new,
                "done": found.done,
                "under_way": found.under_way,
                "failed": found.failed,
                "rejected": found.rejected,
                "held": found.held,
            },
            "credits": {"low": found.work.credits_low, "high": found.work.credits_high},
            "seconds": {"low": found.forecast.seconds_low, "high": found.forecast.seconds_high},
            "bottleneck": found.forecast.bottleneck,
            "advice": found.forecast.advice,
            "rejects": [asdict(reject) for reject in found.rejects],
        }
    )


@app.command()
def run(
    config: Config,
    overrides: Set = None,
    where: Where = None,
    limit: Limit = None,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask before spending.")] = False,
    is_json: Json = False,
    with_engine: Engine = False,
) -> None:
    """Process the catalogue; safe to kill and to repeat."""
    screen = Screen(is_json=is_json)
    settings = _load(screen, config, overrides)
    selection = Selection(where, limit)
    is_free = settings.provider.kind == "local"
    if not (yes or is_json or is_free or _is_agreed(screen, settings, selection)):
        raise typer.Exit(130)
    result = _run(screen, config, selection, overrides=overrides, with_engine=with_engine)
    raise typer.Exit(result.exit_code)


@app.command()
def status(config: Config, overrides: Set = None, is_json: Json = False) -> None:
    """Show where every track of the last run stands."""
    screen = Screen(is_json=is_json)
    settings = _load(screen, config, overrides)
    found: Status = read_status(settings)
    if is_json:
        _print_json(found.as_tree())
    else:
        found.show(screen.out)


@app.command()
def report(config: Config, overrides: Set = None, is_json: Json = False) -> None:
    """Write the report page of the last run again and say where it is."""
    screen = Screen(is_json=is_json)
    where = read_status(_load(screen, config, overrides), with_report=True).report
    if is_json:
        _print_json({"report": where})
    else:
        screen.out.print(where, markup=False)


@app.command()
def doctor(config: Config, overrides: Set = None, is_json: Json = False) -> None:
    """Check key, balance, clock, ledger, storage, rate limit and Prefect; each with a verdict and the fix."""
    from stemline.doctor import examine

    screen = Screen(is_json=is_json)
    verdicts = examine(_load(screen, config, overrides))
    if is_json:
        _print_json({"checks": [asdict(verdict) for verdict in verdicts]})
    else:
        for verdict in verdicts:
            mark = "[green]✓[/]" if verdict.is_good else "[red]✗[/]"
            screen.out.print(f"{mark} {verdict.name:<10} ", end="")
            screen.out.print(verdict.sentence, markup=False)
    raise typer.Exit(max((verdict.exit_code for verdict in verdicts), default=0))


@app.command()
def serve(
    folder: Annotated[Path, typer.Option(help="Where jobs and files are kept.")] = Path(".stemline/service"),
    host: Annotated[str, typer.Option(help="Address to listen on.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(help="0: any free one.")] = 8780,
    key: Annotated[
        list[str] | None, typer.Option(metavar="KEY[=CREDITS]", help="An API key (repeatable).")
    ] = None,
    balance: Annotated[int, typer.Option(min=0, help="Credits of a key that names none.")] = DEFAULT_CREDITS,
    requests_per_minute: Annotated[int, typer.Option(min=1)] = 60,
    workers: Annotated[int, typer.Option(min=1, help="Processes that separate.")] = DEFAULT_WORKERS,
    max_running: Annotated[int | None, typer.Option(min=1, help="Jobs under way at once.")] = None,
    speed: Annotated[
        float | None, typer.Option(min=0, help="Seconds a job takes per second of audio, at least.")
    ] = None,
    engine: Annotated[str, typer.Option(help="auto | draft | demucs | copy (for tests)")] = "auto",
    videos: Annotated[
        Path | None, typer.Option(help="YAML: which audio stands for which YouTube video.")
    ] = None,
    faults: Annotated[Path | None, typer.Option(help="YAML: faults to commit, for tests.")] = None,
    allow_private_sources: Annotated[
        bool, typer.Option(help="Let sourceUrl lead to private addresses.")
    ] = False,
    allow_private_webhooks: Annotated[
        bool | None, typer.Option(help="Let webhooks go to private addresses (default: on loopback).")
    ] = None,
    youtube_outputs_in_create: Annotated[
        bool, typer.Option(help="Name the stems in a YouTube job's create reply, as the reference does.")
    ] = True,
) -> None:
    """Run the local separation service, in both vendors' dialects."""
    from stemline.service.server import serve as serve_service

    texts = [text if "=" in text else f"{text}={balance}" for text in key or []]
    serve_service(
        Options(
            folder=folder,
            host=host,
            port=port,
            keys=tuple(ApiKey.parse(text) for text in texts),
            requests_per_minute=requests_per_minute,
            workers=workers,
            max_running=max_running,
            speed=speed,
            engine=engine,
            videos=videos,
            faults=faults,
            allow_private_sources=allow_private_sources,
            allow_private_webhooks=allow_private_webhooks,
            youtube_outputs_in_create=youtube_outputs_in_create,
        )
    )


@app.command()
def listen(
    config: Config,
    overrides: Set = None,
    unregister: Annotated[
        bool, typer.Option("--unregister", help="Remove the webhook when this ends.")
    ] = False,
) -> None:
    """Receive the provider's webhooks into the ledger, for runs in other processes, until stopped."""
    from stemline.run import open_access
    from stemline.webhooks import listen as listen_for_events

    screen = Screen(is_json=False)
    settings = _load(screen, config, overrides)
    with open_access(settings, load_facts(settings.provider.kind)) as access:
        listen_for_events(
            settings,
            access,
            unregister=unregister,
            on_listening=lambda url: screen.note(f"Listening at {url}; Ctrl-C ends it."),
        )


@app.callback(invoke_without_command=True)
def root(
    version: Annotated[bool, typer.Option("--version", help="Print the version.", is_eager=True)] = False,
) -> None:
    """Turn a music catalogue into a stems dataset."""
    if version:
        typer.echo(__version__)
        raise typer.Exit


def main() -> None:
    """Run the command; every error of ours is one sentence, a fix and its exit code."""
    try:
        app()
    except StemlineError as error:
        if "--json" in sys.argv:
            _print_json({"error": {"kind": type(error).__name__, "message": error.message, "fix": error.fix}})
        Screen(is_json=False).show_error(error)
        sys.exit(error.exit_code)
    except KeyboardInterrupt:
        sys.exit(130)


def _load(screen: Screen, config: Path, overrides: list[str] | None) -> Settings:
    settings = load_settings(config, overrides or [])
    if settings.provider.kind != "local" and has_literal_key(config):
        screen.note(f"{config} holds an API key in the clear: write ${{VARIABLE}} and export it instead.")
    return settings


def _run(
    screen: Screen,
    config: Path,
    selection: Selection,
    *,
    overrides: list[str] | None = None,
    with_engine: bool = False,
) -> Result:
    start = _find_starter()
    with observed_by(RunDisplay(screen)):
        result: Result = start(
            "process_catalogue",
            with_engine=with_engine,
            config=str(config),
            overrides=overrides or [],
            where=selection.where,
            limit=selection.limit,
        )
    if screen.is_json:
        _print_json(result.summary)
        screen.show_reason(result)
    else:
        screen.show_result(result)
    return result


def _find_starter() -> Callable[..., Any]:
    """Give what runs a flow. The library must not import its flows: it finds them as plug-ins are found."""
    for entry in entry_points(group="stemline.flows"):
        if entry.name == "start":
            starter: Callable[..., Any] = entry.load()
            return starter
    raise UsageError(
        "stemline is not installed completely: its flows are missing.", fix="Install it with pip."
    )


def _is_agreed(screen: Screen, settings: Settings, selection: Selection) -> bool:
    if not sys.stdin.isatty():
        return True
    with spinner(screen, "Reading the catalogue"):
        found = preview(settings, source_of(settings, selection), load_facts(settings.provider.kind))
    screen.show_plan(found)
    return confirm(f"Spend up to {found.work.credits_high:,} credits with {settings.provider.kind}?")


def _print_json(tree: object) -> None:
    print(json.dumps(tree, indent=2, default=str))  # noqa: T201 - the one place that writes the contract's object
