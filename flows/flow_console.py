"""The console of a flow run's process, which is a pipe to the worker that started it, and may outlive that worker."""

from __future__ import annotations

import logging
from functools import partial

from prefect.logging.handlers import PrefectConsoleHandler


def outlive_worker() -> None:
    """Have lines that nobody reads any more be lost, where rich would end the process, or a thread of it, for them.

    What is with the provider is collected and published all the same, and the flow run ends in a state of its own.
    """
    loggers = [logging.getLogger(), *map(logging.getLogger, logging.root.manager.loggerDict)]
    for handler in (handler for each in loggers for handler in each.handlers):
        if isinstance(handler, PrefectConsoleHandler):
            console = handler.console
            # https://rich.readthedocs.io/en/stable/reference/console.html#rich.console.Console.on_broken_pipe
            console.on_broken_pipe = partial(setattr, console, "quiet", True)  # type: ignore[method-assign]  # noqa: FBT003
