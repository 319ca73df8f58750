"""Listening: the provider is told where we are, and the receiver runs, beside a run or alone."""

from __future__ import annotations

import asyncio
import logging
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from threading import current_thread, main_thread
from typing import TypeVar

import httpx

from stemline.client import Access, Client, Lane, Patience
from stemline.errors import ConfigError, ProviderGone, RetryableError, StemlineError
from stemline.ledger import Ledger, open_ledger
from stemline.pacing import Pacer
from stemline.providers import load_provider
from stemline.records import Event
from stemline.settings import Settings, WebhookSettings, load_facts
from stemline.webhooks.receiver import Post, create_app, health
from stemline.webhooks.secret import SecretFile
from stemline.webhooks.server import ReceiverServer, serve_receiver
from stemline.wire import Steps

T = TypeVar("T")
HEALTH_SECONDS = 3.0
BRIEFLY = Patience(tries=2)
"""For what may be left undone at the end."""

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Hearing:
    """How a run hears of its jobs."""

    url: str
    """What the provider calls."""
    is_shared: bool
    """Another process receives: events come through the ledger's inbox alone."""


@contextmanager
def listening(
    settings: Settings, access: Access, ledger: Ledger, on_event: Callable[[Event], object]
) -> Iterator[Hearing]:
    """Receive events for the length of a `with` block; our hook is removed at its end.

    A receiver that already writes to this ledger (`stemline listen`) is left to its work.
    Raises ConfigError for a `webhooks` section that cannot work, and what the provider refuses a hook with.
    """
    webhooks = _webhooks(settings)
    url = webhooks.hook_url(settings.provider.kind)
    if _is_heard_elsewhere(webhooks, health(ledger, settings.provider.kind)):
        yield Hearing(url, is_shared=True)
        return
    with (
        _registered(settings, access, is_kept=False) as post,
        serve_receiver(create_app(ledger, post, on_event), webhooks.listen),
    ):
        yield Hearing(url, is_shared=False)


def listen(
    settings: Settings,
    access: Access,
    *,
    unregister: bool = False,
    on_listening: Callable[[str], object] = lambda _: None,
) -> None:
    """Receive events into the ledger until Ctrl-C or SIGTERM; with `unregister`, our hook is removed at the end.

    `on_listening` is told the URL that the provider calls. Raises what `listening` raises.
    """
    webhooks = _webhooks(settings)
    facts = load_facts(settings.provider.kind)
    if settings.provider.base_url is None and facts.base_url is None:
        raise ConfigError(
            f"There is no {facts.kind} service to listen to: without provider.base_url it lives as long as a run.",
            fix="Start `stemline serve` and name its address in provider.base_url.",
        )
    with (
        open_ledger(settings.ledger_url) as ledger,
        _registered(settings, access, is_kept=not unregister) as post,
    ):
        server = ReceiverServer(create_app(ledger, post, lambda _: None), webhooks.listen)
        on_listening(webhooks.hook_url(facts.kind))
        with _stopped_by_signals(server):
            server.run()


@contextmanager
def _registered(settings: Settings, access: Access, *, is_kept: bool) -> Iterator[Post]:
    """Have the provider call us for the length of the block, or, `is_kept`, from now on."""
    webhooks, facts = _webhooks(settings), load_facts(settings.provider.kind)
    url, provider, file = (
        webhooks.hook_url(facts.kind),
        load_provider(facts),
        SecretFile.beside_ledger(settings),
    )
    if webhooks.secret is not None:
        # Whoever names the secret has registered the hook, or the vendor has one secret for the account.
        yield Post(facts.kind, provider, webhooks.secret.get_secret_value(), webhooks.public_url)
        return
    held = file.read()
    hook = _ask(settings, access, provider.register_webhook(url, held))
    if hook is None:
        raise ConfigError(
            f"webhooks.secret is missing, and {facts.kind} signs with a secret of your account.",
            fix="Copy it from the vendor's developer settings into a variable and write webhooks.secret: ${VARIABLE}.",
        )
    if hook.secret is not None:
        file.keep(hook.hook_id, hook.secret)
    try:
        yield Post(facts.kind, provider, hook.secret or held[hook.hook_id], webhooks.public_url)
    finally:
        if not is_kept:
            try:
                file.forget(*_ask(settings, access, provider.unregister_webhook(url), BRIEFLY))
            except StemlineError as error:
                logger.warning("The webhook %s could not be removed: %s", url, error)


def _ask(settings: Settings, access: Access, steps: Steps[T], patience: Patience | None = None) -> T:
    """Carry steps out, on an event loop of their own."""
    facts = load_facts(settings.provider.kind)
    pacer = Pacer(settings.provider.requests_per_minute or facts.requests_per_minute)

    async def ask() -> T:
        async with Client(load_provider(facts), access, pacer, patience) as client:
            return await client.run(steps, Lane.LOOK)

    try:
        return asyncio.run(ask())
    except RetryableError as error:
        raise ProviderGone(error.message, fix="Run again later, or without the webhooks section.") from error


def _webhooks(settings: Settings) -> WebhookSettings:
    if settings.webhooks is None:
        raise ConfigError(
            "There is no webhooks section.",
            fix="Add webhooks.public_url, the address where you can be reached.",
        )
    return settings.webhooks


def _is_heard_elsewhere(webhooks: WebhookSettings, own: dict[str, str]) -> bool:
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
