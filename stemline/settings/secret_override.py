"""Overrides that hold a secret in the clear: they must not become parameters of a flow run, which Prefect keeps."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator

import yaml

from stemline.errors import UsageError
from stemline.settings.redactor import is_secret_name

_VARIABLES = r"[\[\]\s,'\"]*(?:\$\{[A-Za-z_][A-Za-z0-9_]*\}[\[\]\s,'\"]*)+"
"""One variable, or a list of them: what a secret is to be written as."""
_ONLY_VARIABLES = re.compile(_VARIABLES)
_PASSWORD = re.compile(r"://[^/\s:@]*:(?P<password>[^@\s]+)@")
_NO_SECRETS = "catalogue.types"
"""Its keys are names of columns."""

PATTERN = (
    rf"^(?!{re.escape(_NO_SECRETS)})(?![^=]*(?:key|secret|token|passw|credential|auth(?!ors?\b))[^=]*=(?!{_VARIABLES}$))"
    r"(?![^=]*=\s*\{.*(?:key|secret|token|passw|credential)[^:]*:(?!\s*[\"']?\$\{))"
    r"(?!.*://[^/\s:@]*:(?!\$\{\w+\}@)[^@\s]+@)"
    rf"|^{re.escape(_NO_SECRETS)}"
)
"""What an override must match: the server that keeps parameters refuses others before it keeps them (JSON schema)."""


def require_no_secret(overrides: Iterable[str]) -> None:
    """Raise UsageError for the first override that holds a secret in the clear, without showing it."""
    for override in overrides:
        if (name := secret_name_in(override)) is not None:
            raise UsageError(
                f"An override sets {name} in the clear, and Prefect shows the parameters of a flow run to everybody.",
                fix=f"Name a variable, such as {name}=${{VARIABLE}}, and export that or keep it in a Secret block.",
            )


def secret_name_in(override: str) -> str | None:
    """Give the name under which a `key.path=value` override holds a secret in the clear; None: it holds none."""
    name, _, text = override.partition("=")
    if name == _NO_SECRETS or name.startswith(f"{_NO_SECRETS}."):
        return None
    try:
        value = yaml.safe_load(text)
    except yaml.YAMLError:
        value = text
    for path, leaf in _leaves(name, value):
        is_named = is_secret_name(path) and leaf and _ONLY_VARIABLES.fullmatch(leaf) is None
        password = _PASSWORD.search(leaf)
        if is_named or (password is not None and _ONLY_VARIABLES.fullmatch(password["password"]) is None):
            return path
    return None


def _leaves(path: str, value: object) -> Iterator[tuple[str, str]]:
    if isinstance(value, dict):
        for name, item in value.items():
            yield from _leaves(f"{path}.{name}", item)
    elif isinstance(value, list):
        for item in value:
            yield from _leaves(path, item)
    elif value is not None and not isinstance(value, bool):
        yield path, str(value)
