"""What tasks make, as Prefect's assets: their keys, and what is told of them."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from stemline.settings.redactor import present_redactor

LONGEST_KEY = 512
_REFUSED = str.maketrans(dict.fromkeys("\n\r\t\0 #?&%\"'<>[]{}|\\^`", "_"))
"""What Prefect takes in no key: https://docs.prefect.io/v3/concepts/assets."""


def asset_key(url: str) -> str | None:
    """Give the key of what lies at a URL or path, without credentials and options; None where it is too long."""
    parts = urlsplit(url)
    if not parts.scheme or not parts.netloc:
        path = parts.path if parts.scheme in ("file", "local") else url
        key = f"file://{Path(path).expanduser().absolute()}"
    else:
        key = f"{parts.scheme.lower()}://{parts.netloc.rpartition('@')[2]}{parts.path}"
    key = key.translate(_REFUSED)
    return key if len(key) <= LONGEST_KEY else None


def describe_asset(describe: Callable[[], dict[str, Any]]) -> None:
    """Tell what `describe` gives, as JSON takes it, of what the present task makes; ask it only where one does."""
    if "prefect" not in sys.modules:
        return
    from prefect.context import AssetContext  # noqa: PLC0415 - imported already

    context = AssetContext.get()
    if context is None:
        return
    for asset in context.downstream_assets:
        context.add_asset_metadata(asset.key, present_redactor().tree(describe()))
