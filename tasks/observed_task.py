"""The decorator of every task: a Prefect task inside a flow run, the plain function outside one."""

from __future__ import annotations

import sys
from collections.abc import Callable
from functools import cache, wraps
from typing import TYPE_CHECKING, Any, ParamSpec, TypeVar, cast

from stemline.errors import StemlineError
from stemline.settings.redactor import present_redactor

if TYPE_CHECKING:
    from prefect.client.schemas.objects import State

P = ParamSpec("P")
R = TypeVar("R")


def observed_task(
    name: str, *, asset: Callable[..., str | None] | None = None
) -> Callable[[Callable[P, R]], Callable[P, R]]:
    """Have Prefect observe a function wherever a flow run is under way; `name` may name what its parameters have.

    `asset` gives, of the same arguments, the key of what the function makes; None where it makes nothing.
    """

    def observe(function: Callable[P, R]) -> Callable[P, R]:
        @cache
        def make_task(key: str | None) -> Callable[P, R]:
            return _make_task(function, name, key)

        @wraps(function)
        def call(*args: P.args, **kwargs: P.kwargs) -> R:
            if not _is_in_flow_run():
                return function(*args, **kwargs)
            made: Any = make_task(asset(*args, **kwargs) if asset else None)(*args, **kwargs)
            return cast("R", _value_of(made))

        return call

    return observe


def _make_task(function: Callable[P, R], name: str, key: str | None) -> Callable[P, R]:
    from prefect import task  # noqa: PLC0415 - outside a flow run nobody needs it
    from prefect.assets import materialize  # noqa: PLC0415
    from prefect.cache_policies import NO_CACHE  # noqa: PLC0415

    # No retries and no cache: a paid call is retried by the ledger alone, and the ledger knows what is done.
    options: Any = {
        "retries": 0,
        "cache_policy": NO_CACHE,
        "persist_result": False,
        "task_run_name": name,
    }
    decorate = task(**options) if key is None else materialize(key, by="stemline", **options)
    return cast("Callable[P, R]", decorate(failing_in_states(function)))


def _value_of(made: object) -> object:
    """Give what a task gave; raises the error whose state it ended in: Prefect hands that state on as a value."""
    from prefect.client.schemas.objects import State  # noqa: PLC0415 - imported by the flow

    if not isinstance(made, State):
        return made
    ended = ended_with(made)
    raise (
        ended
        if isinstance(ended, Exception)
        else RuntimeError(f"A task ended as {made.name}: {made.message}")
    )


def ended_with(state: State[Any]) -> Any:  # noqa: ANN401 - what a function gave, or the error that ended it
    """Give what is a state's data, however Prefect has wrapped it."""
    from prefect.results import ResultRecord  # type: ignore[attr-defined]  # noqa: PLC0415 - imported by the flow

    return state.data.result if isinstance(state.data, ResultRecord) else state.data


def failing_in_states(function: Callable[P, R]) -> Callable[P, R | State[R]]:
    """Give a function that returns expected errors as states: Prefect logs a traceback of what is raised.

    Neither those nor what it raises otherwise hold anything secret.
    """

    @wraps(function)
    def run(*args: P.args, **kwargs: P.kwargs) -> R | State[R]:
        from prefect.states import Failed  # noqa: PLC0415 - imported by the flow

        try:
            return function(*args, **kwargs)
        except Exception as error:
            told = present_redactor().error(error)
            if isinstance(told, StemlineError):
                return Failed(message=str(told), data=told)
            if told is error:
                raise
            raise told from None

    return run


def _is_in_flow_run() -> bool:
    """Tell whether a flow run is under way, which it cannot be before Prefect is imported."""
    if "prefect" not in sys.modules:
        return False
    from prefect.context import FlowRunContext  # noqa: PLC0415 - imported already

    return FlowRunContext.get() is not None
