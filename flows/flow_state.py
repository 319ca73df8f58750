"""The state in which a flow run ends: what the shell says by exit code and sentence, Prefect says by state and message.

0 Completed; 3 and 4 Completed under a name of their own; 130 Cancelled; the others Failed. Errors that are expected
become states here, as Prefect would log a traceback of what is raised.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from functools import wraps
from inspect import signature
from pathlib import Path
from typing import TYPE_CHECKING, Any, ParamSpec

from flows.flow_artifacts import show_ended
from flows.flow_secrets import with_secrets
from flows.flow_sentence import flow_sentence
from flows.flow_watch import watched_by_prefect
from flows.parameters import read_parameters
from stemline.errors import StemlineError
from stemline.integrity.finding import IntegrityReport
from stemline.run.selection import Result
from stemline.settings import load_settings
from stemline.settings.redactor import present_redactor
from stemline.settings.secret_override import require_no_secret
from tasks.observed_task import failing_in_states

if TYPE_CHECKING:
    from prefect.client.schemas.objects import State

P = ParamSpec("P")
COMPLETED_NAMES = {0: "Completed", 3: "Incomplete", 4: "BudgetReached"}
"""Of flow runs that did what they could, by exit code."""
INTERRUPTED = 130


class FlowStopped(StemlineError):
    """A run that ended before its end: Prefect wants an exception of every state that is no success."""

    def __init__(self, message: str, result: Result) -> None:
        super().__init__(message)
        self.result = result


def quieten_engine() -> None:
    """Keep Prefect's engine from logging the traceback of an error that the flow run's state tells already."""
    for name in ("prefect.flow_runs", "prefect.engine"):
        logger = logging.getLogger(name)
        if _is_news not in logger.filters:
            logger.addFilter(_is_news)


def _is_news(record: logging.LogRecord) -> bool:
    return not (record.exc_info and isinstance(record.exc_info[1], StemlineError))


def ending_in_states(steps: Callable[P, object]) -> Callable[P, object]:
    """Give steps that end in a state, with what they gave, or the error that ended them, as its data."""

    @wraps(steps)
    def run(*args: P.args, **kwargs: P.kwargs) -> State[object] | object:
        given = signature(steps).bind(*args, **kwargs).arguments
        with with_secrets(given):
            return failing_in_states(_run_steps)(steps, given)

    return run


def _run_steps(steps: Callable[..., object], given: Mapping[str, Any]) -> State[object]:
    parameters = read_parameters(steps, given)
    require_no_secret(parameters.get("overrides") or ())
    with watched_by_prefect():
        ended = steps(**parameters)
        told = present_redactor()(flow_sentence(ended))
        _show(ended, parameters, told)
        return state_of(ended, told)


def _show(ended: object, parameters: Mapping[str, Any], told: str) -> None:
    """Make the artifacts; a server that is away by now changes nothing about what the flow came to."""
    try:
        name = load_settings(Path(parameters["config"]), parameters.get("overrides") or []).name
        show_ended(ended, name, told)
    except Exception:  # noqa: BLE001 - whatever Prefect's client raises
        logging.getLogger("stemline.flows").warning("Prefect did not take the artifacts of this run.")


def state_of(ended: object, told: str) -> State[object]:
    """Give the state of what a flow came to, with this sentence."""
    from prefect.states import Cancelled, Completed, Failed  # noqa: PLC0415 - the flow has imported it

    exit_code = _exit_code(ended)
    if isinstance(ended, Result) and exit_code not in COMPLETED_NAMES:
        make = Cancelled if exit_code == INTERRUPTED else Failed
        return make(message=told, data=FlowStopped(told, ended))
    return Completed(message=told, data=ended, name=COMPLETED_NAMES[exit_code])


def _exit_code(ended: object) -> int:
    """Give the exit code that the command ends with at the shell."""
    if isinstance(ended, Result):
        return ended.exit_code
    return 3 if isinstance(ended, IntegrityReport) and not ended.is_sound else 0
