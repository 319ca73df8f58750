"""Where the provider is, and the keys for it; the local service is started where no address is configured."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from stemline.errors import ConfigError
from stemline.local import LocalRun, load_local_service
from stemline.settings import ProviderFacts, Settings, load_facts

if TYPE_CHECKING:
    from stemline.client import Access


def fingerprint(api_key: str) -> str:
    """Give a name for an API key that does not give it away."""
    return hashlib.sha256(api_key.encode()).hexdigest()[:12]


def read_api_keys(settings: Settings, facts: ProviderFacts) -> tuple[str, ...]:
    """Give the configured API keys, or the one of the local service's own; nothing is started for it.

    Raises ConfigError when there is none.
    """
    provider = settings.provider
    if (provider.base_url or facts.base_url) is None:
        return (load_local_service().own_key(_local_run(settings)),)
    keys = tuple(key.get_secret_value() for key in provider.api_keys)
    if not all(keys) or not keys:
        raise ConfigError(
            f"provider.api_key is missing, and {facts.kind} needs one.",
            fix=f"Set it to ${{{facts.key_variable or 'STEMLINE_API_KEY'}}} and export that variable.",
        )
    return keys


def read_key_ids(settings: Settings, facts: ProviderFacts) -> list[str]:
    """Give the fingerprints of the configured API keys, under which the ledger keeps their leases."""
    return [fingerprint(key) for key in read_api_keys(settings, facts)]


def check_access(settings: Settings) -> None:
    """Raise ConfigError for what is wrong with a configuration whatever the manifest: before anybody is asked to pay.

    Nothing is started, sent or written for it.
    """
    facts = load_facts(settings.provider.kind)
    read_api_keys(settings, facts)
    if settings.webhooks is not None:
        from stemline.webhooks.registration import require_secret  # noqa: PLC0415 - brings httpx

        require_secret(settings)


@contextmanager
def open_accesses(settings: Settings, facts: ProviderFacts) -> Iterator[tuple[Access, ...]]:
    """Give where the provider is with each of its keys, starting the local service where no URL is configured."""
    from stemline.client import Access  # noqa: PLC0415 - brings httpx, which not every run needs

    storage_options = settings.catalogue.storage_options
    base_url = settings.provider.base_url or facts.base_url
    if base_url is None:
        with load_local_service().running_beside(_local_run(settings)) as service:
            yield (Access(service.api_url, service.key, storage_options),)
        return
    yield tuple(Access(base_url, key, storage_options) for key in read_api_keys(settings, facts))


def _local_run(settings: Settings) -> LocalRun:
    provider = settings.provider
    return LocalRun(
        folder=Path(".stemline") / f"service-{settings.name}",
        requests_per_minute=provider.requests_per_minute or load_facts("local").requests_per_minute,
        workers=provider.workers,
        engine=provider.engine,
    )
