"""Webhooks received: the provider is told where we are, and the receiver runs, beside a run or alone."""

from __future__ import annotations

import signal
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from threading import current_thread, main_thread

import httpx

from stemline.client import Access
from stemline.errors import ConfigError
from stemline.ledger import Ledger, open_ledger
from stemline.providers import load_provider
from stemline.records import Event
from stemline.settings import Settings, WebhookSettings, load_facts
from stemline.telemetry.collector_export import exporting_to_collector
from stemline.telemetry.endpoint import metrics_route
from stemline.telemetry.ledger_metrics import LedgerMetrics
from stemline.webhooks.receiver import ReceiverSettings, create_app, health
from stemline.webhooks.registration import RegisteredWebhooks
from stemline.webhooks.server import LISTEN_KEY, ReceiverServer, require_free_address, serve_receiver

HEALTH_SECONDS = 3.0


@dataclass(frozen=True, slots=True)
class WebhookRoute:
    """How events about its jobs reach a run."""

    url: str
    """What the provider calls."""
    is_shared: bool
    """Another process receives: events come through the ledger's inbox alone."""


@contextmanager
def receiving_webhooks(
    settings: Settings, accesses: Sequence[Access], ledger: Ledger, on_event: Callable[[Event], object]
) -> Iterator[WebhookRoute]:
    """Receive the events of every key's account for the length of a `with` block; our hooks are removed at its end.

    A receiver that already writes to this ledger (`stemline listen`) is left to its work.
    Raises ConfigError for a `webhooks` section that cannot work, and what the provider refuses a hook with.
    """
    webhooks = _webhooks(settings)
    url = webhooks.hook_url(settings.provider.kind)
    if is_received_already(settings, ledger):
        yield WebhookRoute(url, is_shared=True)
        return
    require_free_address(webhooks.listen, LISTEN_KEY)  # before the vendor is told of it
    with (
        _registered(settings, accesses, is_kept=False) as receiver,
        serve_receiver(create_app(ledger, receiver, on_event), webhooks.listen),
    ):
        yield WebhookRoute(url, is_shared=False)


def receive_webhooks(
    settings: Settings,
    accesses: Sequence[Access],
    *,
    unregister: bool = False,
    on_listening: Callable[[str], object] = lambda _: None,
) -> None:
    """Receive events into the ledger until Ctrl-C or SIGTERM; with `unregister`, our hooks are removed at the end.

    `on_listening` is told the URL that the provider calls. Raises what `receiving_webhooks` raises.
    """
    webhooks = _webhooks(settings)
    facts = load_facts(settings.provider.kind)
    if settings.provider.base_url is None and facts.base_url is None:
        raise ConfigError(
            f"There is no {facts.kind} service to listen to: without provider.base_url it lives as long as a run.",
            fix="Start `stemline serve` and name its address in provider.base_url.",
        )
    require_free_address(webhooks.listen, LISTEN_KEY)
    with (
        open_ledger(settings.ledger_url) as ledger,
        _registered(settings, accesses, is_kept=not unregister) as receiver,
    ):
        read_metrics = LedgerMetrics(ledger, settings).read
        metrics = metrics_route(read_metrics)
        server = ReceiverServer(create_app(ledger, receiver, lambda _: None, [metrics]), webhooks.listen)
        on_listening(webhooks.hook_url(facts.kind))
        with exporting_to_collector(read_metrics), _stopped_by_signals(server):
            server.run()


@contextmanager
def _registered(
    settings: Settings, accesses: Sequence[Access], *, is_kept: bool
) -> Iterator[ReceiverSettings]:
    """Have the provider call us for the length of the block, or, `is_kept`, from now on."""
    webhooks, facts = _webhooks(settings), load_facts(settings.provider.kind)
    provider = load_provider(facts)
    if webhooks.secret is not None:
        # Whoever names the secret has registered the hook, or the vendor has one secret for the account.
        yield ReceiverSettings(
            facts.kind, provider, (webhooks.secret.get_secret_value(),), webhooks.public_url
        )
        return
    registered = RegisteredWebhooks(settings, webhooks.hook_url(facts.kind))
    try:
        registered.register(accesses)
        with registered.kept_up():
            yield ReceiverSettings(facts.kind, provider, registered.secrets, webhooks.public_url)
    finally:
        if not is_kept:
            registered.remove()


def is_received_already(settings: Settings, ledger: Ledger) -> bool:
    """Tell whether a receiver of this ledger answers already: then a run needs none of its own."""
    return _is_received_elsewhere(_webhooks(settings), health(ledger, settings.provider.kind))


def _webhooks(settings: Settings) -> WebhookSettings:
    if settings.webhooks is None:
        raise ConfigError(
            "There is no webhooks section.",
            fix="Add webhooks.public_url, the address where you can be reached.",
        )
    return settings.webhooks


def _is_received_elsewhere(webhooks: WebhookSettings, own: dict[str, str]) -> bool:
    """Tell whether a receiver of this ledger answers already, on this machine or behind the public address."""
    host, _, port = webhooks.listen.rpartition(":")
    host = {"0.0.0.0": "127.0.0.1", "[::]": "[::1]"}.get(host, host)  # noqa: S104 - the address of all is none to call
    for url, is_outside in ((f"http://{host}:{port}", False), (webhooks.public_url, True)):
        with suppress(httpx.HTTPError, httpx.InvalidURL, ValueError):
            answer = httpx.get(f"{url}/health", timeout=HEALTH_SECONDS, trust_env=is_outside)
            if answer.is_success and answer.json() == own:
                return True
    return False


@contextmanager
def _stopped_by_signals(server: ReceiverServer) -> Iterator[None]:
    """Have a stop end the server and nothing else: uvicorn raises the signal once more, which would end us too."""
    if current_thread() is not main_thread():
        yield
        return
    handlers = {
        number: signal.signal(number, server.handle_exit) for number in (signal.SIGINT, signal.SIGTERM)
    }
    try:
        yield
    finally:
        for number, handler in handlers.items():
            signal.signal(number, handler)
