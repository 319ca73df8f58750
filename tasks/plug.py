"""The decorator every task wears: a Prefect task inside a flow run, the plain function outside one."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import ParamSpec, TypeVar

from prefect import task
from prefect.cache_policies import NO_CACHE
from prefect.context import FlowRunContext

P = ParamSpec("P")
R = TypeVar("R")


def plug(function: Callable[P, R]) -> Callable[P, R]:
    """Have Prefect observe a function wherever a flow run is under way.

    No retries and no cache: a paid call is retried by the ledger alone, and the ledger knows what is done.
    """
    observed = task(retries=0, cache_policy=NO_CACHE, persist_result=False)(function)

    @wraps(function)
    def call(*args: P.args, **kwargs: P.kwargs) -> R:
        return observed(*args, **kwargs) if FlowRunContext.get() else function(*args, **kwargs)

    return call
