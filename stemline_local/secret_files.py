"""Secrets that a folder of the service keeps: made the first time, read by their owner alone."""

from __future__ import annotations

import secrets
from pathlib import Path

from stemline_local.options import ApiKey

OWN_CREDITS = 1_000_000_000


def own_keys(folder: Path) -> tuple[ApiKey, ...]:
    """Give the keys the service makes for itself, one a vendor; a folder keeps its own, with credits without end."""
    folder.mkdir(parents=True, exist_ok=True)
    secret = read_secret(folder / "api-key")
    return tuple(ApiKey(prefix + secret, OWN_CREDITS) for prefix in ("sk_live_", "ast_live_"))


def read_secret(path: Path) -> str:
    """Give the secret of a file that only its owner can read; made the first time."""
    path.touch(mode=0o600)
    if not path.read_text():
        path.write_text(secrets.token_hex(24))
    return path.read_text()
