"""Flows: one file per deployed flow; file, function and deployment share a name."""

from __future__ import annotations

from importlib import import_module
from typing import Any

from flows.observed_flow import is_server_configured
from stemline.errors import StemlineError


def start(name: str, /, *, with_engine: bool = False, **parameters: Any) -> Any:  # noqa: ANN401 - as the flow has it
    """Run a flow by name and give what it returns.

    Under Prefect's engine where a server is configured or `with_engine` asks for one, as the plain function
    elsewhere: the engine would start a server of its own first, which takes longer than many a run.
    """
    file = import_module(f"{__name__}.{name}")
    if with_engine or is_server_configured():
        return _data_of(getattr(file, name)(**parameters, return_state=True))
    return file.run_steps(**parameters)


def _data_of(state: Any) -> Any:  # noqa: ANN401 - of Prefect's states, with what the flow gave
    """Give what a flow gave, whatever its state is called; raises the error that ended it."""
    from prefect.results import ResultRecord  # type: ignore[attr-defined]  # noqa: PLC0415 - imported by the flow

    from flows.flow_state import FlowStopped  # noqa: PLC0415 - imported by the flow

    ended = state.data.result if isinstance(state.data, ResultRecord) else state.data
    if isinstance(ended, FlowStopped):
        return ended.result
    if isinstance(ended, StemlineError):
        raise ended
    return ended if ended is not None else state.result()
