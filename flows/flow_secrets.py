"""Secrets of a flow run: variables that Prefect's blocks hold, and a redactor made before anything is told."""

from __future__ import annotations

import logging
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from stemline.errors import StemlineError
from stemline.run.access import read_api_keys
from stemline.settings import load_facts, load_settings
from stemline.settings.document import missing_variables
from stemline.settings.redactor import Redactor, redacting, redactor_of

logger = logging.getLogger("stemline.flows")


@contextmanager
def with_secrets(parameters: Mapping[str, Any]) -> Iterator[None]:
    """Have the environment what Secret blocks hold of it, and everything told in the `with` block be redacted."""
    with _variables_of_blocks(parameters), redacting(redactor_for(parameters)):
        yield


def redactor_for(parameters: Mapping[str, Any]) -> Redactor:
    """Give what keeps the secrets of the configuration that these parameters name."""
    try:
        settings = load_settings(*_named(parameters))
    except StemlineError:  # whoever needs the configuration says what is wrong with it
        return redactor_of(None)
    keys: tuple[str, ...] = ()
    with suppress(StemlineError):
        keys = read_api_keys(settings, load_facts(settings.provider.kind))
    return redactor_of(settings, keys)


def block_name(variable: str) -> str:
    """Give the name of the Secret block that holds a variable: `STEMSPLIT_API_KEY` is in `stemsplit-api-key`."""
    return variable.lower().replace("_", "-").strip("-")


@contextmanager
def _variables_of_blocks(parameters: Mapping[str, Any]) -> Iterator[None]:
    """Set the variables that a configuration names and the environment lacks, for the length of the block."""
    found = {}
    with suppress(OSError, UnicodeDecodeError):
        for name in missing_variables(*_named(parameters)):
            if (value := _secret_of_block(block_name(name))) is not None:
                found[name] = value
    os.environ.update(found)
    try:
        yield
    finally:
        for name in found:
            os.environ.pop(name, None)


def _secret_of_block(name: str) -> str | None:
    """Give what a Secret block holds; None where there is none, and where the server does not say."""
    from prefect.blocks.system import Secret  # noqa: PLC0415 - the flow has imported Prefect

    try:
        return str(Secret.load(name, _sync=True).get())  # type: ignore[call-arg, union-attr]
    except ValueError:  # there is none
        return None
    except Exception as error:  # noqa: BLE001 - whatever Prefect's client raises
        logger.warning("The Secret block %s cannot be read: %s.", name, type(error).__name__)
        return None


def _named(parameters: Mapping[str, Any]) -> tuple[Path, list[str]]:
    overrides = parameters.get("overrides") or []
    texts = [each for each in overrides if isinstance(each, str)] if isinstance(overrides, list) else []
    return Path(str(parameters.get("config", ""))), texts
