"""The decorator of every task: a Prefect task inside a flow run, the plain function outside one."""

from __future__ import annotations

import sys
from collections.abc import Callable
from functools import cache, wraps
from typing import ParamSpec, TypeVar

P = ParamSpec("P")
R = TypeVar("R")


def observed_task(function: Callable[P, R]) -> Callable[P, R]:
    """Have Prefect observe a function wherever a flow run is under way."""

    @cache
    def make_task() -> Callable[P, R]:
        from prefect import task  # noqa: PLC0415 - outside a flow run nobody needs it
        from prefect.cache_policies import NO_CACHE  # noqa: PLC0415

        # No retries and no cache: a paid call is retried by the ledger alone, and the ledger knows what is done.
        return task(retries=0, cache_policy=NO_CACHE, persist_result=False)(function)

    @wraps(function)
    def call(*args: P.args, **kwargs: P.kwargs) -> R:
        return (make_task() if _is_in_flow_run() else function)(*args, **kwargs)

    return call


def _is_in_flow_run() -> bool:
    """Tell whether a flow run is under way, which it cannot be before Prefect is imported."""
    if "prefect" not in sys.modules:
        return False
    from prefect.context import FlowRunContext  # noqa: PLC0415 - imported already

    return FlowRunContext.get() is not None
