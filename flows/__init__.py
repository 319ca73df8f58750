"""Flows: one file per deployed flow; file, function and deployment share a name."""

from __future__ import annotations

from importlib import import_module
from typing import Any

from flows.observed_flow import is_server_configured


def start(name: str, *, with_engine: bool = False, **parameters: Any) -> Any:  # noqa: ANN401 - as the flow has it
    """Run a flow by name and give what it returns.

    Under Prefect's engine where a server is configured or `with_engine` asks for one, as the plain function
    elsewhere: the engine would start a server of its own first, which takes longer than many a run.
    """
    file = import_module(f"{__name__}.{name}")
    run = getattr(file, name) if with_engine or is_server_configured() else file.run_steps
    return run(**parameters)
