"""The console of a flow run's process, which is a pipe to the worker that started it, and may outlive that worker."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from functools import partial, wraps
from typing import ParamSpec, TypeVar

from prefect.logging.handlers import PrefectConsoleHandler

from stemline.logs import JsonFormatter, LogFormat, present_format
from stemline.settings.redactor import present_redactor

P = ParamSpec("P")
R = TypeVar("R")


def outliving_worker(run: Callable[P, R]) -> Callable[P, R]:
    """Give a flow's function for which lines that nobody reads any more are lost.

    Rich would end the process, or a thread of it, for them. Now what is with the provider is collected and published,
    and the flow run ends in a state of its own.
    """

    @wraps(run)
    def outlive(*args: P.args, **kwargs: P.kwargs) -> R:
        _quieten_at_a_broken_pipe()
        if present_format() is LogFormat.JSON:
            for handler in console_handlers():
                handler.setFormatter(JsonFormatter(present_redactor()))
        return run(*args, **kwargs)

    return outlive


def _quieten_at_a_broken_pipe() -> None:
    for handler in console_handlers():
        console = handler.console
        # https://rich.readthedocs.io/en/stable/reference/console.html#rich.console.Console.on_broken_pipe
        console.on_broken_pipe = partial(setattr, console, "quiet", True)  # type: ignore[method-assign]  # noqa: FBT003


def console_handlers() -> Iterator[PrefectConsoleHandler]:
    """Give what writes Prefect's log to the console, of whichever logger."""
    loggers = [logging.getLogger(), *map(logging.getLogger, logging.root.manager.loggerDict)]
    for handler in (handler for each in loggers for handler in each.handlers):
        if isinstance(handler, PrefectConsoleHandler):
            yield handler
