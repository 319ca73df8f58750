"""`python -m orchestration up | night | deploy | down`: what `make` runs."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from orchestration.folder import CLONE, DEFAULT_FOLDER, ServerFolder
from stemline.errors import StemlineError

DEMO_FOLDER = CLONE / "demo" / "night"
app = typer.Typer(help=__doc__, no_args_is_help=True, pretty_exceptions_enable=False)

Folder = Annotated[Path, typer.Option(help="Where all of the server's files are.")]


@app.command()
def up(
    folder: Folder = DEFAULT_FOLDER,
    port: Annotated[
        int | None, typer.Option(min=1, max=65535, help="The port of 127.0.0.1; 4200, or a free one.")
    ] = None,
) -> None:
    """Have a Prefect server, a worker and this clone's deployments on this machine; changes nothing that is there."""
    from orchestration.bringing_up import bring_up

    bring_up(ServerFolder(folder.resolve()), port, typer.echo)


@app.command()
def night(
    folder: Folder = DEFAULT_FOLDER,
    catalogue: Annotated[Path, typer.Option(help="Where catalogue and dataset go.")] = DEMO_FOLDER,
) -> None:
    """Process a made catalogue by a schedule of the server, with no key; show the run until its end."""
    from orchestration.demo_night import run_demo_night

    run_demo_night(ServerFolder(folder.resolve()), catalogue.resolve(), typer.echo)


@app.command()
def deploy() -> None:
    """Have pool, secrets, deployments and automations on the server that Prefect's settings name."""
    from orchestration.deploying import deploy_all

    deploy_all(typer.echo)


@app.command()
def down(
    folder: Folder = DEFAULT_FOLDER,
    *,
    keep: Annotated[bool, typer.Option("--keep", help="Keep the database and the logs.")] = False,
) -> None:
    """End the server, the worker and the flow runs, and remove their files; a PostgreSQL database is left as it is."""
    from orchestration.taking_down import take_down

    take_down(ServerFolder(folder.resolve()), typer.echo, keep=keep)


def main() -> None:
    """Run a command; an expected error is a sentence."""
    try:
        app()
    except StemlineError as error:
        typer.echo(f"Error: {error.message}", err=True)
        if error.fix:
            typer.echo(f"Fix: {error.fix}", err=True)
        sys.exit(error.exit_code)


if __name__ == "__main__":
    main()
