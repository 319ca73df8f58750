"""A flow's steps as a Prefect flow, made when somebody asks for it: importing Prefect takes longer than many a run."""

from __future__ import annotations

import os
import sys
import tomllib
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any


def flow_on_demand(name: str, steps: Callable[..., Any], **options: Any) -> Callable[[str], Any]:  # noqa: ANN401
    """Give a module's `__getattr__` (PEP 562) that makes its plain function a flow when `name` is first asked for.

    `options` are those of `prefect.flow`. Parameters are checked by the flow itself, which says what is wrong in a
    sentence; Prefect would log a traceback, and the parameters with it.
    """

    @cache
    def make_flow() -> Any:  # noqa: ANN401 - a Flow, whose type would need the import
        # A server that the engine starts for itself would call home, and complain where it cannot.
        os.environ.setdefault("PREFECT_SERVER_ANALYTICS_ENABLED", "false")
        from prefect import flow  # noqa: PLC0415 - what is put off

        from flows.flow_console import outliving_worker  # noqa: PLC0415 - what is put off
        from flows.flow_retry import raising_for_retries  # noqa: PLC0415
        from flows.flow_state import ending_in_states, quieten_engine  # noqa: PLC0415
        from flows.parameters import documented  # noqa: PLC0415
        from stemline.telemetry.collector_export import prepare_tracing  # noqa: PLC0415

        prepare_tracing()  # a worker's engine makes its own spans: a run's belong below them
        quieten_engine()

        observed = outliving_worker(raising_for_retries(ending_in_states(steps)))
        # A worker is told to load the flow by the name of its function.
        observed.__name__ = observed.__qualname__ = name
        observed.__doc__ = documented(steps)
        return flow(name=name, validate_parameters=False, persist_result=False, **options)(observed)

    def get_attribute(asked: str) -> Any:  # noqa: ANN401
        if asked == name:
            return make_flow()
        raise AttributeError(f"module {steps.__module__!r} has no attribute {asked!r}")

    return get_attribute


def is_server_configured() -> bool:
    """Tell whether Prefect knows a server; it is imported and asked only where something may name one."""
    if "prefect" not in sys.modules and not _may_be_configured():
        return False
    from prefect.settings import PREFECT_API_URL  # noqa: PLC0415 - what is put off

    return PREFECT_API_URL.value() is not None


def _may_be_configured() -> bool:
    """Tell whether there is anything in the places that `prefect.settings.sources` reads an address from."""
    variables = tuple(name.upper() for name in os.environ)
    home = Path(os.environ.get("PREFECT_HOME") or Path.home() / ".prefect")
    return (
        any(name.startswith(("PREFECT_API", "PREFECT_PROFILE")) for name in variables)
        or (home / "profiles.toml").exists()
        or Path("prefect.toml").exists()
        or _mentions_prefect(Path(".env"))
        or _has_section(Path("pyproject.toml"))
    )


def _mentions_prefect(file: Path) -> bool:
    return file.is_file() and b"prefect" in file.read_bytes().lower()


def _has_section(file: Path) -> bool:
    """Tell whether a pyproject.toml has a `[tool.prefect]`; one that cannot be read may have it."""
    if not _mentions_prefect(file):
        return False
    try:
        return "prefect" in tomllib.loads(file.read_text(encoding="utf-8")).get("tool", {})
    except ValueError:
        return True
