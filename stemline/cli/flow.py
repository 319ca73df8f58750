"""The flow, started from the command line and shown while it runs."""

from __future__ import annotations

from collections.abc import Callable
from importlib.metadata import entry_points
from pathlib import Path
from typing import Any

from stemline.cli.edge import print_json
from stemline.console import RunDisplay, Screen
from stemline.errors import UsageError
from stemline.run import Result, Selection, observed_by


def run_flow(
    screen: Screen,
    config: Path,
    selection: Selection,
    *,
    overrides: list[str] | None = None,
    with_engine: bool = False,
) -> Result:
    """Process the selection and show what it came to."""
    start = _find_starter()
    with observed_by(RunDisplay(screen)):
        result: Result = start(
            "process_catalogue",
            with_engine=with_engine,
            config=str(config),
            overrides=overrides or [],
            where=selection.where,
            limit=selection.limit,
            redrive=None if selection.redrive is None else [str(code) for code in selection.redrive],
        )
    if screen.is_json:
        print_json(result.summary)
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
