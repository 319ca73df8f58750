"""The decorator of every task: a Prefect task inside a flow run, the plain function outside one."""

from __future__ import annotations

import sys
from collections.abc import Callable
from functools import cache, wraps
from typing import TYPE_CHECKING, ParamSpec, TypeVar, cast

from stemline.errors import StemlineError

if TYPE_CHECKING:
    from prefect.client.schemas.objects import State

P = ParamSpec("P")
R = TypeVar("R")


def observed_task(name: str) -> Callable[[Callable[P, R]], Callable[P, R]]:
    """Have Prefect observe a function wherever a flow run is under way; `name` may name what its parameters have."""

    def observe(function: Callable[P, R]) -> Callable[P, R]:
        @cache
        def make_task() -> Callable[P, R]:
            from prefect import task  # noqa: PLC0415 - outside a flow run nobody needs it
            from prefect.cache_policies import NO_CACHE  # noqa: PLC0415

            # No retries and no cache: a paid call is retried by the ledger alone, and the ledger knows what is done.
            options = task(retries=0, cache_policy=NO_CACHE, persist_result=False, task_run_name=name)
            return cast("Callable[P, R]", options(failing_in_states(function)))

        @wraps(function)
        def call(*args: P.args, **kwargs: P.kwargs) -> R:
            return (make_task() if _is_in_flow_run() else function)(*args, **kwargs)

        return call

    return observe


def failing_in_states(function: Callable[P, R]) -> Callable[P, R | State[R]]:
    """Give a function that returns expected errors as states: Prefect logs a traceback of what is raised."""

    @wraps(function)
    def run(*args: P.args, **kwargs: P.kwargs) -> R | State[R]:
        from prefect.states import Failed  # noqa: PLC0415 - imported by the flow

        try:
            return function(*args, **kwargs)
        except StemlineError as error:
            return Failed(message=str(error), data=error)

    return run


def _is_in_flow_run() -> bool:
    """Tell whether a flow run is under way, which it cannot be before Prefect is imported."""
    if "prefect" not in sys.modules:
        return False
    from prefect.context import FlowRunContext  # noqa: PLC0415 - imported already

    return FlowRunContext.get() is not None
