"""The commands that serve requests until they are stopped."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from stemline.cli.console import Screen
from stemline.cli.logging_setup import tell_more
from stemline.cli.options import Config, Set, read_config


def serve(
    folder: Annotated[Path, typer.Option(metavar="FOLDER", help="Where jobs and files are kept.")] = Path(
        ".stemline/service"
    ),
    host: Annotated[str, typer.Option(metavar="ADDRESS", help="Address to listen on.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(metavar="N", help="The port; 0: any free one.")] = 8780,
    key: Annotated[
        list[str] | None, typer.Option(metavar="KEY[=CREDITS]", help="An API key (repeatable).")
    ] = None,
    balance: Annotated[
        int | None,
        typer.Option(min=0, metavar="N", help="Credits of a key that names none (default: 36,000)."),
    ] = None,
    requests_per_minute: Annotated[
        int, typer.Option(min=1, metavar="N", help="So many are answered a minute and key.")
    ] = 60,
    workers: Annotated[
        int | None,
        typer.Option(
            min=1, metavar="N", help="Processes that separate (default: a core less than there are)."
        ),
    ] = None,
    max_running: Annotated[
        int | None, typer.Option(min=1, metavar="N", help="Jobs under way at once.")
    ] = None,
    speed: Annotated[
        float | None,
        typer.Option(min=0, metavar="S", help="Seconds a job takes per second of audio, at least."),
    ] = None,
    engine: Annotated[
        str, typer.Option(metavar="NAME", help="auto, draft, demucs or copy (for tests).")
    ] = "auto",
    videos: Annotated[
        Path | None, typer.Option(metavar="FILE", help="YAML: which audio stands for which YouTube video.")
    ] = None,
    faults: Annotated[
        Path | None, typer.Option(metavar="FILE", help="YAML: faults to commit, for tests.")
    ] = None,
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
    from stemline.local import load_local_service

    tell_more()
    load_local_service().serve(
        folder=folder,
        host=host,
        port=port,
        keys=key or [],
        balance=balance,
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


def listen(
    config: Config,
    overrides: Set = None,
    unregister: Annotated[
        bool, typer.Option("--unregister", help="Remove the webhook when this ends.")
    ] = False,
) -> None:
    """Receive the provider's webhooks into the ledger, for runs in other processes, until stopped."""
    from stemline.run.access import open_accesses
    from stemline.settings import load_facts
    from stemline.webhooks import receive_webhooks

    tell_more()
    screen = Screen(is_json=False)
    settings = read_config(screen, config, overrides)
    with open_accesses(settings, load_facts(settings.provider.kind)) as accesses:
        receive_webhooks(
            settings,
            accesses,
            unregister=unregister,
            on_listening=lambda url: screen.note(f"Listening at {url}; Ctrl-C ends it."),
        )
