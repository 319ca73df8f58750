"""How a provider is reached, and how much went to it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Access:
    """How a provider is reached."""

    base_url: str
    api_key: str
    storage_options: dict[str, Any]
    """For reading the catalogue's files."""


@dataclass(slots=True)
class Traffic:
    """How many requests were sent to the provider, and how many of them it refused for their pace."""

    sent: int = 0
    rejected: int = 0
    transfers: int = 0
