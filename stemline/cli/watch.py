"""The status of a run, shown again and again until the run is over."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator

from rich.live import Live

from stemline.console import Screen
from stemline.status import Status

WATCH_SECONDS = 2.0


def watch(screen: Screen, read: Callable[[], Status]) -> Status:
    """Show the status until the run is over, and give the last one.

    On a terminal it is redrawn in place, elsewhere a line says what has changed, and with `--json` nothing is shown.
    """
    if screen.is_json:
        *_, last = _readings(read)
        return last
    if screen.out.is_terminal:
        return _redraw(screen, read)
    return _print_changes(screen, read)


def _redraw(screen: Screen, read: Callable[[], Status]) -> Status:
    with Live(console=screen.out, auto_refresh=False, vertical_overflow="visible") as live:
        for found in _readings(read):
            live.update(found.page(), refresh=True)
    return found


def _print_changes(screen: Screen, read: Callable[[], Status]) -> Status:
    said = ""
    for found in _readings(read):
        if (line := found.line()) != said:
            screen.out.print(line, markup=False)
            said = line
    found.show(screen.out)
    return found


def _readings(read: Callable[[], Status]) -> Iterator[Status]:
    """Give one reading after the other; that of a run which is over is the last."""
    while (found := read()).is_under_way:
        yield found
        time.sleep(WATCH_SECONDS)
    yield found
