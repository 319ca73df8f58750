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


def fingerprint(api_key: str, base_url: str = "") -> str:
    """Give a name for an API key that does not give it away; with `base_url`, for its account at that address."""
    account = f"{api_key} {base_url.rstrip('/')}" if base_url else api_key
    return hashlib.sha256(account.encode()).hexdigest()[:12]


def key_id_of(access: Access) -> str:
    """Give the name under which the ledger keeps what is done with an account."""
    return fingerprint(access.api_key, access.base_url if access.is_one_of_several else "")


def read_api_keys(settings: Settings, facts: ProviderFacts) -> tuple[str, ...]:
    """Give the configured API keys, or the one of the local service's own; nothing is started for it.

    Raises ConfigError when there is none.
    """
    provider = settings.provider
    if not (provider.base_url or facts.base_url):
        return (load_local_service().own_key(local_run(settings)),)
    keys = tuple(key.get_secret_value() for key in provider.api_keys)
    if not all(keys) or not keys:
        raise ConfigError(
            f"provider.api_key is missing, and {facts.kind} needs one.",
            fix=f"Set it to ${{{facts.key_variable or 'STEMLINE_API_KEY'}}} and export that variable.",
        )
    return keys


def read_key_ids(settings: Settings, facts: ProviderFacts) -> list[str]:
    """Give the fingerprints of the configured accounts, under which the ledger keeps their leases."""
    keys, urls = read_api_keys(settings, facts), settings.provider.base_urls
    return [fingerprint(key, url) for url in (urls if len(urls) > 1 else ("",)) for key in keys]


def check_access(settings: Settings) -> None:
    """Raise ConfigError for what is wrong with a configuration whatever the manifest: before anybody is asked to pay.

    Nothing is started, sent or written for it.
    """
    facts = load_facts(settings.provider.kind)
    if settings.provider.base_url or facts.base_url:
        read_api_keys(settings, facts)
    else:
        load_local_service().check(local_run(settings))
    if settings.webhooks is not None:
        from stemline.webhooks.registration import require_secret  # noqa: PLC0415 - brings httpx

        require_secret(settings)


@contextmanager
def open_accesses(settings: Settings, facts: ProviderFacts) -> Iterator[tuple[Access, ...]]:
    """Give where the provider is with each of its keys, starting the local service where no URL is configured."""
    from stemline.client import Access  # noqa: PLC0415 - brings httpx, which not every run needs

    storage_options = settings.catalogue.storage_options
    urls = settings.provider.base_urls or ((facts.base_url,) if facts.base_url else ())
    if not urls:
        with load_local_service().running_beside(local_run(settings)) as service:
            yield (Access(service.api_url, service.key, storage_options),)
        return
    keys, several = read_api_keys(settings, facts), len(urls) > 1
    yield tuple(Access(url, key, storage_options, several) for url in urls for key in keys)


def local_run(settings: Settings) -> LocalRun:
    """Give what a run asks of a local service of its own."""
    provider = settings.provider
    return LocalRun(
        folder=Path(".stemline") / f"service-{settings.name}",
        requests_per_minute=load_facts("local").pace(provider),
        workers=provider.workers,
        engine=provider.engine,
    )
