"""What commands share at their edges: the configuration they read, the object they print."""

from __future__ import annotations

import json
from pathlib import Path

from stemline.console import Screen
from stemline.settings import Settings, has_literal_key, load_settings


def read_config(screen: Screen, config: Path, overrides: list[str] | None) -> Settings:
    """Give the settings of a configuration file, after a word on a key that stands in it."""
    settings = load_settings(config, overrides or [])
    if settings.provider.kind != "local" and has_literal_key(config):
        screen.note(f"{config} holds an API key in the clear: write ${{VARIABLE}} and export it instead.")
    return settings


def print_json(tree: object) -> None:
    """Print the one object that `--json` promises."""
    print(json.dumps(tree, indent=2, default=str))  # noqa: T201 - the one place that writes it
