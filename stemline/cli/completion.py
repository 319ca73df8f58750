"""What a shell is offered for an argument: configurations, codes, releases."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from itertools import islice
from pathlib import Path

import typer

DEPTH = 2
"""How many folders below the one that is typed configurations are looked for."""
OFFERED = 100
SUFFIXES = (".yaml", ".yml")


def complete_config(incomplete: str) -> list[str]:
    """Give the YAML files that begin so, in the folder that is typed and somewhat below it."""
    folder, start = os.path.split(incomplete)
    return sorted(islice(_find_configs(Path(folder or "."), folder, start, DEPTH), OFFERED))


def complete_code(incomplete: str) -> list[str]:
    """Give the codes that begin so."""
    from stemline.records import Code

    return [code.value for code in Code if code is not Code.OK and code.startswith(incomplete)]


def complete_release(ctx: typer.Context, incomplete: str) -> list[str]:
    """Give the releases of a dataset on this machine; nobody who types waits for a bucket."""
    from stemline.errors import StemlineError
    from stemline.settings import load_settings

    try:
        dataset = load_settings(Path(ctx.params["config"]), ctx.params.get("overrides") or []).dataset.url
        return sorted(
            path.name
            for path in Path(dataset.removeprefix("file://"), "releases").iterdir()
            if path.name.startswith(incomplete)
        )
    except (StemlineError, OSError, KeyError, TypeError):  # whatever is wrong, the command itself will say it
        return []


def one_of(*words: str) -> Callable[[str], list[str]]:
    """Give what offers these words."""

    def complete(incomplete: str) -> list[str]:
        return [word for word in words if word.startswith(incomplete)]

    return complete


def _find_configs(folder: Path, typed: str, start: str, depth: int) -> Iterator[str]:
    try:
        entries = sorted(os.scandir(folder), key=lambda entry: entry.name)
    except OSError:
        return
    prefix = f"{typed.rstrip('/')}/" if typed else ""
    for entry in entries:
        if not entry.name.startswith(start) or (entry.name.startswith(".") and not start):
            continue
        if entry.is_dir():
            if depth:
                yield from _find_configs(Path(entry.path), f"{prefix}{entry.name}", "", depth - 1)
        elif entry.name.endswith(SUFFIXES):
            yield f"{prefix}{entry.name}"
