"""The `--log-format` of every command, and what keeps secrets out of what is logged."""

from __future__ import annotations

import inspect
import os
from collections.abc import Callable
from functools import wraps
from typing import TYPE_CHECKING, Annotated, Any

import typer

from stemline.logs import VARIABLE, LogFormat, set_up_logging

if TYPE_CHECKING:
    from stemline.settings import Settings

Option = Annotated[
    LogFormat | None,
    typer.Option(
        envvar=VARIABLE,
        metavar="NAME",
        case_sensitive=False,
        help="plain or json: how notes and log lines are written to stderr.",
    ),
]
_redactors: list[Callable[[str], str]] = []
"""The one that knows this process's configuration, once that is read."""


def with_log_format(command: Callable[..., None]) -> Callable[..., None]:
    """Give a command that takes `--log-format` besides, and sets logging up before it begins."""

    @wraps(command)
    def call(*args: Any, log_format: LogFormat | None = None, **kwargs: Any) -> None:  # noqa: ANN401 - as the command has them
        choose_format(log_format)
        command(*args, **kwargs)

    added = inspect.Parameter("log_format", inspect.Parameter.KEYWORD_ONLY, default=None, annotation=Option)
    signature = inspect.signature(command, eval_str=True)
    parameters = [*signature.parameters.values(), added]
    call.__signature__ = signature.replace(parameters=parameters)  # type: ignore[attr-defined]  # what Typer reads
    call.__annotations__ = {each.name: each.annotation for each in parameters}
    del call.__wrapped__  # Typer would read its annotations instead
    return call


def choose_format(log_format: LogFormat | None) -> None:
    """Have lines be written so, here and in what is started."""
    if log_format is not None:
        os.environ[VARIABLE] = log_format
    set_up_logging(redact)


def tell_more() -> None:
    """Have our lines be written from INFO on."""
    set_up_logging(redact, is_telling=True)


def hide_secrets_of(settings: Settings) -> None:
    """Keep a configuration's secrets out of what any thread logs."""
    from stemline.settings.redactor import redactor_of

    _redactors[:] = [redactor_of(settings)]


def redact(text: str) -> str:
    """Give a text without what is secret."""
    from stemline.settings.redactor import present_redactor

    text = present_redactor()(text)
    return _redactors[0](text) if _redactors else text
