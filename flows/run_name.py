"""What a flow run is called: its catalogue, what of it is selected, and the day it is for."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from flows.flow_secrets import with_secrets
from stemline.errors import StemlineError
from stemline.settings import load_settings
from stemline.settings.redactor import present_redactor


def name_flow_run() -> str:
    """Give the present flow run's name, such as `night, limit 10, 2026-11-29`."""
    from prefect.runtime import flow_run  # noqa: PLC0415 - imported by the flow

    parameters = flow_run.parameters
    day = f"{flow_run.scheduled_start_time:%Y-%m-%d}"
    with with_secrets(parameters):
        words = [_catalogue_name(parameters), *_selection_words(parameters), day]
        return present_redactor()(", ".join(words))


def _catalogue_name(parameters: Mapping[str, Any]) -> str:
    """Give the configuration's name, or its path where it cannot be read: then the flow says why."""
    config = str(parameters.get("config", ""))
    try:
        return load_settings(Path(config), parameters.get("overrides") or []).name
    except (StemlineError, TypeError, AttributeError):  # parameters of the wrong type come here unchecked
        return config


def _selection_words(parameters: Mapping[str, Any]) -> list[str]:
    """Give what is asked for beside the whole catalogue."""
    words = [str(parameters[name]) for name in ("name", "where") if parameters.get(name)]
    if parameters.get("limit") is not None:
        words.append(f"limit {parameters['limit']}")
    if parameters.get("sample") is not None:
        words.append(f"sample {parameters['sample']}")
    if (codes := parameters.get("redrive")) is not None:
        words.append(f"redrive {' '.join(map(str, codes)) or 'all'}")
    return words
