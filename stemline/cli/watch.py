"""The status of a run, shown again and again until the run is over."""

from __future__ import annotations

import time
from collections.abc import Iterator

from rich.live import Live

from stemline.cli.console import Screen
from stemline.settings import Settings
from stemline.status import RunStatus, read_status

WATCH_SECONDS = 2.0


def watch_status(screen: Screen, settings: Settings) -> RunStatus:
    """Show the status until the run is over, and give the last one.

    On a terminal it is redrawn in place, elsewhere a line says what has changed, and with `--json` nothing is shown.
    """
    if screen.is_json:
        *_, last = _readings(settings)
        return last
    if screen.out.is_terminal:
        return _redraw(screen, settings)
    return _print_changes(screen, settings)


def _redraw(screen: Screen, settings: Settings) -> RunStatus:
    with Live(console=screen.out, auto_refresh=False, vertical_overflow="visible") as live:
        for found in _readings(settings):
            live.update(found.page(), refresh=True)
    return found


def _print_changes(screen: Screen, settings: Settings) -> RunStatus:
    said = ""
    for found in _readings(settings):
        if (line := found.line()) != said:
            screen.out.print(line, markup=False)
            said = line
    found.show(screen.out)
    return found


def _readings(settings: Settings) -> Iterator[RunStatus]:
    """Give one reading after the other; that of a run which is over is the last."""
    while (found := read_status(settings)).is_under_way:
        yield found
        time.sleep(WATCH_SECONDS)
    yield found
