"""The state in which a flow run ends: what the shell says by exit code and sentence, Prefect says by state and message.

0 Completed; 3 and 4 Completed under a name of their own; 130 Cancelled; the others Failed. Errors that are expected
become states here, as Prefect would log a traceback of what is raised.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from functools import wraps
from typing import TYPE_CHECKING, ParamSpec

from flows.flow_artifacts import show_result
from flows.flow_watch import watched_by_prefect
from stemline.errors import StemlineError
from stemline.records import Code
from stemline.run.selection import Result
from stemline.wording import STATES, code_sentence, counted
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
    @failing_in_states
    def run(*args: P.args, **kwargs: P.kwargs) -> State[object]:
        from prefect.states import Completed  # noqa: PLC0415 - the flow has imported it

        with watched_by_prefect():
            ended = steps(*args, **kwargs)
        if not isinstance(ended, Result):
            return Completed(message=str(ended), data=ended)
        told = result_sentence(ended)
        _show(ended, told)
        return state_of(ended, told)

    return run


def _show(result: Result, told: str) -> None:
    """Make the result's artifacts; a server that is away by now changes nothing about what the run came to."""
    try:
        show_result(result, told)
    except Exception:  # noqa: BLE001 - whatever Prefect's client raises
        logging.getLogger("stemline.flows").warning("Prefect did not take the artifacts of this run.")


def state_of(result: Result, told: str) -> State[object]:
    """Give the state of what a run came to, with this sentence."""
    from prefect.states import Cancelled, Completed, Failed  # noqa: PLC0415 - the flow has imported it

    if result.exit_code == INTERRUPTED:
        return Cancelled(message=told, data=FlowStopped(told, result))
    if result.exit_code not in COMPLETED_NAMES:
        return Failed(message=told, data=FlowStopped(told, result))
    return Completed(message=told, data=result, name=COMPLETED_NAMES[result.exit_code])


def result_sentence(result: Result) -> str:
    """Say what a run came to, and what to do about it: why it stopped, else what most of the rest lack."""
    states = result.summary["tracks"]
    shown = ", ".join(f"{states[state]:,} {state}" for state in STATES if state in states)
    lead = f"{counted(sum(states.values()), 'track')}: {shown or 'none'}."
    if result.reason:
        return f"{result.reason} {lead}"
    others = {code: count for code, count in result.summary["codes"].items() if code != Code.OK}
    if not others or result.exit_code == 0:
        return lead
    return f"{lead} {code_sentence(max(others, key=lambda code: others[code]))}"
