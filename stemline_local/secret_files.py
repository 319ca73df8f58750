"""Secrets that a folder of the service keeps: made the first time, read by their owner alone."""

from __future__ import annotations

import secrets
from pathlib import Path

from stemline.errors import UsageError
from stemline_local.options import ApiKey

OWN_CREDITS = 1_000_000_000


def own_keys(folder: Path) -> tuple[ApiKey, ...]:
    """Give the keys the service makes for itself, one a vendor; a folder keeps its own, with credits without end."""
    make_folder(folder)
    secret = read_secret(folder / "api-key")
    return tuple(ApiKey(prefix + secret, OWN_CREDITS) for prefix in ("sk_live_", "ast_live_"))


def make_folder(folder: Path) -> None:
    """Make the folder of a service, unless it is there; raises UsageError where that cannot be."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UsageError(
            f"The service's folder {folder} cannot be made: {error.strerror}.",
            fix="Name one in a place you may write to.",
        ) from error


def read_secret(path: Path) -> str:
    """Give the secret of a file that only its owner can read; made the first time."""
    path.touch(mode=0o600)
    if not path.read_text():
        path.write_text(secrets.token_hex(24))
    return path.read_text()
