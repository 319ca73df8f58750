"""Exports that the dataset tells of: what lies there is a person's to remove."""

from __future__ import annotations

import json
from collections.abc import Iterable

from stemline.release.record import RECORD_NAME, RELEASES_PREFIX
from stemline.storage import Store

EXPORTS_PREFIX = "_stemline/exports"
_TARGETS = ("out", "url", "to")
"""The names under which a record of an export may tell where it went, the surest first."""


def named_exports(store: Store) -> list[dict[str, str]]:
    """Give where releases and tables were exported to, and where that is told."""
    records = [key for key in store.list(RELEASES_PREFIX) if key.endswith(f"/{RECORD_NAME}")]
    exports = [key for key in store.list(EXPORTS_PREFIX) if key.endswith(".json")]
    return [
        {"named_in": key, "to": target}
        for key in sorted([*records, *exports])
        for target in _targets(store, key)
    ]


def _targets(store: Store, key: str) -> Iterable[str]:
    try:
        tree = json.loads(store.read_bytes(key))
    except (FileNotFoundError, ValueError):
        return []
    if not isinstance(tree, dict):
        return []
    entries = tree.get("exports", []) if key.endswith(f"/{RECORD_NAME}") else [tree]
    return [
        entry
        if isinstance(entry, str)
        else next((str(entry[name]) for name in _TARGETS if name in entry), key)
        for entry in entries
    ]
