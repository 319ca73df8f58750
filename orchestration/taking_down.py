"""`down`: all that `up` started ends, and its files go."""

from __future__ import annotations

from collections.abc import Callable

from orchestration.folder import ServerFolder
from orchestration.process import marked_processes
from orchestration.server import end_all


def take_down(folder: ServerFolder, echo: Callable[[str], object], *, keep: bool) -> None:
    """End the flow runs in good order, the worker and the server, and remove the folder unless it is to be kept."""
    if not folder.path.exists() and not marked_processes(folder):
        echo("Nothing runs, and there is nothing to remove.")
        return
    with folder.alone():
        count = end_all(folder)
        if keep:
            known = folder.read()
            known.processes = {}
            folder.write(known)
        else:
            folder.remove()
    kept = f"The database and the logs stay in {folder.path}." if keep else f"{folder.path} is removed."
    echo(f"{'Nothing ran' if count == 0 else f'{count} processes ended'}. {kept}")
