"""Where the provider is, and the key for it; the local service is started where no address is configured."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from stemline.client import Access
from stemline.errors import ConfigError
from stemline.local import LocalRun, load_local_service
from stemline.settings import ProviderFacts, Settings, load_facts


def fingerprint(api_key: str) -> str:
    """Give a name for an API key that does not give it away."""
    return hashlib.sha256(api_key.encode()).hexdigest()[:12]


@contextmanager
def open_access(settings: Settings, facts: ProviderFacts) -> Iterator[Access]:
    """Give where the provider is and the first key for it, starting the local service where no URL is configured."""
    with open_accesses(settings, facts) as accesses:
        yield accesses[0]


@contextmanager
def open_accesses(settings: Settings, facts: ProviderFacts) -> Iterator[tuple[Access, ...]]:
    """Give where the provider is with each of its keys, starting the local service where no URL is configured."""
    provider, options = settings.provider, settings.catalogue.storage_options
    keys = [key.get_secret_value() for key in provider.api_keys]
    base_url = provider.base_url or facts.base_url
    if base_url is None:
        with load_local_service().running_beside(_local_run(settings)) as service:
            yield (Access(service.api_url, service.key, options),)
        return
    if not all(keys) or not keys:
        raise ConfigError(
            f"provider.api_key is missing, and {facts.kind} needs one.",
            fix=f"Set it to ${{{facts.key_variable or 'STEMLINE_API_KEY'}}} and export that variable.",
        )
    yield tuple(Access(base_url, key, options) for key in keys)


def _local_run(settings: Settings) -> LocalRun:
    provider = settings.provider
    return LocalRun(
        folder=Path(".stemline") / f"service-{settings.name}",
        requests_per_minute=provider.requests_per_minute or load_facts("local").requests_per_minute,
        workers=provider.workers,
        engine=provider.engine,
    )
