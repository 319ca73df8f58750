"""A flow run that Prefect tries again: it does so for an error that is raised, and fails at a failed state returned."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import ParamSpec, TypeVar, cast

from prefect.client.orchestration import get_client
from prefect.client.schemas.objects import State
from prefect.context import FlowRunContext

P = ParamSpec("P")
R = TypeVar("R")


def raising_for_retries(run: Callable[P, R]) -> Callable[P, R]:
    """Give a flow's function that raises what failed where another try is left.

    The state of the last try stays the one that is returned, with its sentence and without a traceback. Every try is a
    run of its own, which goes on from the ledger.
    """

    @wraps(run)
    def attempt(*args: P.args, **kwargs: P.kwargs) -> R:
        ended = run(*args, **kwargs)
        if isinstance(ended, State) and ended.is_failed() and _is_tried_again():
            raise cast("Exception", ended.data)
        return ended

    return attempt


def _is_tried_again() -> bool:
    """Tell whether the server, by its own rule, has a failed flow run tried again; no where it cannot be asked."""
    context = FlowRunContext.get()
    if context is None or context.flow_run is None:
        return False
    try:
        with get_client(sync_client=True) as client:
            flow_run = client.read_flow_run(context.flow_run.id)
    except Exception:  # noqa: BLE001 - whatever Prefect's client raises
        return False
    return flow_run.run_count <= (flow_run.empirical_policy.retries or 0)
