"""`catalogue.columns` in the forms in which a person can paste it."""

from __future__ import annotations

import json
import shlex
from collections.abc import Mapping

import yaml

from stemline.settings.document import escape_variables


def columns_flags(columns: Mapping[str, str]) -> str:
    """Give columns (our name: the manifest's) as options of a command; each adds to what the configuration maps."""
    pairs = (f"catalogue.columns.{ours}={_set_value(theirs)}" for ours, theirs in columns.items())
    return " ".join(f"--set {shlex.quote(pair)}" for pair in pairs)


def columns_line(columns: Mapping[str, str]) -> str:
    """Give columns as the line that stands in the section `catalogue` of a configuration."""
    pairs = (f"{ours}: {_as_yaml(theirs)}" for ours, theirs in columns.items())
    return f"columns: {{{', '.join(pairs)}}}"


def _set_value(text: str) -> str:
    """Give text as the value of `--set`, which reads YAML: in quotes only where it would be read as something else."""
    escaped = escape_variables(text)
    try:
        is_plain = yaml.safe_load(escaped) == escaped
    except yaml.YAMLError:
        is_plain = False
    return escaped if is_plain else json.dumps(escaped, ensure_ascii=False)


def _as_yaml(text: str) -> str:
    is_word = text.replace("_", "").replace("-", "").isalnum() and not text[:1].isdigit()
    return _set_value(text) if is_word else json.dumps(escape_variables(text), ensure_ascii=False)
