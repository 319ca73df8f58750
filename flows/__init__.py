"""Flows: one file per deployed flow; file, function and deployment share a name."""

from __future__ import annotations

from importlib import import_module
from typing import Any

from flows.observed_flow import is_server_configured
from stemline.errors import StemlineError
from stemline.settings.redactor import redacting


def start(name: str, /, *, with_engine: bool = False, **parameters: Any) -> Any:  # noqa: ANN401 - as the flow has it
    """Run a flow by name and give what it returns.

    Under Prefect's engine where a server is configured or `with_engine` asks for one, as the plain function
    elsewhere: the engine would start a server of its own first, which takes longer than many a run.
    """
    from flows.flow_secrets import redactor_for  # noqa: PLC0415 - whoever lists flows needs none of it

    file = import_module(f"{__name__}.{name}")
    redact = redactor_for(parameters)
    try:
        with redacting(redact):
            if with_engine or is_server_configured():
                return _run_with_engine(getattr(file, name), parameters)
            return file.run_steps(**parameters)
    except Exception as error:
        told = redact.error(error)
        if told is error:
            raise
        raise told from None


def _run_with_engine(observed: Any, parameters: dict[str, Any]) -> Any:  # noqa: ANN401 - a flow, as it has it
    from flows.engine import prepare_engine  # noqa: PLC0415 - only where there is an engine
    from stemline.settings.secret_override import require_no_secret  # noqa: PLC0415
    from stemline.telemetry.collector_export import prepare_tracing  # noqa: PLC0415

    require_no_secret(parameters.get("overrides") or ())
    prepare_tracing()  # before the engine makes its own spans: a run's belong below them
    prepare_engine()
    from prefect import tags  # noqa: PLC0415

    from flows.automations import TAG  # noqa: PLC0415

    with tags(TAG):
        return _data_of(observed(**parameters, return_state=True))


def _data_of(state: Any) -> Any:  # noqa: ANN401 - of Prefect's states, with what the flow gave
    """Give what a flow gave, whatever its state is called; raises the error that ended it."""
    from flows.flow_state import FlowStopped  # noqa: PLC0415 - imported by the flow
    from tasks.observed_task import ended_with  # noqa: PLC0415

    ended = ended_with(state)
    if isinstance(ended, FlowStopped):
        return ended.result
    if isinstance(ended, StemlineError):
        raise ended
    return ended if ended is not None else state.result()
