"""Parts written for a test that asks where they lie."""

from __future__ import annotations

from typing import Any

from stemline.dataset.parts import write_parts


def write_keys(*arguments: Any) -> list[str]:
    """Write a batch's parts; give their keys."""
    return [part.key for part in write_parts(*arguments)]
