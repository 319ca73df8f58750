"""Our hooks with the provider, one an account: registered, kept up, and removed."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager
from threading import Event as Flag
from threading import Thread
from typing import TypeVar

from stemline.client import Access, Client, Lane, Pacer, RetryPolicy
from stemline.errors import ConfigError, KeyRefused, ProviderGone, RetryableError, StemlineError
from stemline.protocol import Steps
from stemline.providers import load_provider
from stemline.settings import ProviderFacts, Settings, load_facts
from stemline.webhooks.secret import SecretFile

T = TypeVar("T")
CHECK_SECONDS = 600.0
"""How often the provider is asked whether our hooks are still in force: what fails too often is switched off."""
BRIEF_RETRIES = RetryPolicy(tries=2)
"""For what may be left undone."""

logger = logging.getLogger(__name__)


class RegisteredWebhooks:
    """The hooks by which the accounts of some API keys call one URL; two keys of one account share its hook."""

    def __init__(self, settings: Settings, url: str) -> None:
        """Ask for nothing yet."""
        self.url = url
        self._settings = settings
        self._facts = load_facts(settings.provider.kind)
        self._provider = load_provider(self._facts)
        self._file = SecretFile.beside_ledger(settings)
        self._owners: dict[str, Access] = {}
        self._secrets: dict[str, str] = {}

    @property
    def secrets(self) -> Collection[str]:
        """What the hooks in force sign with: a view that follows them."""
        return self._secrets.values()

    def register(self, accesses: Sequence[Access]) -> None:
        """Have every account call us; raises what one of them refuses it with, a bad key only where all are."""
        refusal = None
        for access in accesses:
            try:
                self._owners.setdefault(self._register(access), access)
            except KeyRefused as error:
                refusal = error
                logger.warning("One API key can register no webhook: %s", error)
        if refusal is not None and not self._owners:
            raise refusal

    def check(self) -> None:
        """Register again what is no longer in force; as long as all is, this takes one request an account."""
        for hook_id, access in list(self._owners.items()):
            found = self._register(access, BRIEF_RETRIES)
            if found != hook_id:
                logger.warning(
                    "The webhook %s was switched off or removed: it is registered again.", self.url
                )
                self._owners[found] = self._owners.pop(hook_id)
                self._secrets.pop(hook_id, None)
                self._file.forget(hook_id)

    def remove(self) -> None:
        """Have nobody call us any longer; what cannot be removed is told and left."""
        for access in self._owners.values():
            try:
                self._file.forget(
                    *self._run(access, self._provider.unregister_webhook(self.url), BRIEF_RETRIES)
                )
            except StemlineError as error:
                logger.warning("The webhook %s could not be removed: %s", self.url, error)

    @contextmanager
    def kept_up(self) -> Iterator[None]:
        """Check now and then for the length of a `with` block."""
        is_over = Flag()

        def check_again() -> None:
            while not is_over.wait(CHECK_SECONDS):
                try:
                    self.check()
                except StemlineError as error:
                    logger.warning("The webhook %s could not be checked: %s", self.url, error.message)

        thread = Thread(target=check_again, name="hooks", daemon=True)
        thread.start()
        try:
            yield
        finally:
            is_over.set()
            thread.join()  # or a late check could register what is removed next

    def _register(self, access: Access, policy: RetryPolicy | None = None) -> str:
        held = self._file.read()
        hook = self._run(access, self._provider.register_webhook(self.url, held), policy)
        if hook is None:
            raise _secret_missing(self._facts)
        if hook.secret is not None:
            self._file.keep(hook.hook_id, hook.secret)
        self._secrets[hook.hook_id] = hook.secret or held[hook.hook_id]
        return hook.hook_id

    def _run(self, access: Access, steps: Steps[T], policy: RetryPolicy | None = None) -> T:
        """Carry steps out, on an event loop of their own."""
        pacer = Pacer(self._facts.pace(self._settings.provider))

        async def run() -> T:
            async with Client(self._provider, access, pacer, policy) as client:
                return await client.run(steps, Lane.POLL)

        try:
            return asyncio.run(run())
        except RetryableError as error:
            raise ProviderGone(
                error.message, fix="Run again later, or without the webhooks section."
            ) from error


def require_secret(settings: Settings) -> None:
    """Raise ConfigError where a provider signs with a secret of the account and it is not configured; asks nobody."""
    webhooks, facts = settings.webhooks, load_facts(settings.provider.kind)
    if webhooks is None or webhooks.secret is not None:
        return
    try:
        next(load_provider(facts).register_webhook(webhooks.hook_url(facts.kind), ()))
    except StopIteration:  # there is no request that would make a secret
        raise _secret_missing(facts) from None


def _secret_missing(facts: ProviderFacts) -> ConfigError:
    return ConfigError(
        f"webhooks.secret is missing, and {facts.kind} signs with a secret of your account.",
        fix="Copy it from the vendor's developer settings into a variable "
        "and write webhooks.secret: ${VARIABLE}.",
    )
