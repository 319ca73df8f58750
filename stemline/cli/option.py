"""The arguments and options that several commands take."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

Config = Annotated[Path, typer.Argument(help="The configuration file.")]
Set = Annotated[
    list[str] | None, typer.Option("--set", metavar="KEY=VALUE", help="Override any key (repeatable).")
]
Where = Annotated[str | None, typer.Option(help="SQL filter over the manifest's columns.")]
Limit = Annotated[int | None, typer.Option(min=1, help="Only the first N selected rows.")]
Json = Annotated[bool, typer.Option("--json", help="Print one JSON object on stdout, nothing else.")]
Yes = Annotated[bool, typer.Option("--yes", "-y", help="Do not ask before spending.")]
Engine = Annotated[bool, typer.Option("--prefect", help="Run under Prefect's engine even without a server.")]
