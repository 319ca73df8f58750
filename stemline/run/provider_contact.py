"""The provider asked once what a run asks it first: is it there, does it take the key, how many credits are left."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from stemline.client import Access, Client, Lane, Pacer, RetryPolicy, stops_a_run
from stemline.errors import RetryableError, StemlineError, TerminalError
from stemline.plan.capacity import runs_own_service
from stemline.providers import load_provider
from stemline.run.access import open_accesses
from stemline.settings import ProviderFacts, Settings

BRIEF = RetryPolicy(tries=2)
"""For who looks only: a run is more patient before it says the same."""
PATIENCE_SECONDS = 30.0


@dataclass(frozen=True, slots=True)
class AccountAnswer:
    """What the provider says of one key's account."""

    credits: int
    requests_per_minute: int


@dataclass(frozen=True, slots=True)
class ProviderContact:
    """What came of asking with every key."""

    answers: Sequence[AccountAnswer] = ()
    refusals: Sequence[StemlineError] = ()
    """Of the keys that got no answer of use."""
    warnings: list[str] = field(default_factory=list)

    @property
    def refusal(self) -> StemlineError | None:
        """What a run would stop for: it does where no key is of use."""
        return self.refusals[0] if self.refusals and not self.answers else None


def ask_account(access: Access, facts: ProviderFacts) -> AccountAnswer:
    """Give what the provider says of a key's account: one request, which costs nothing.

    Raises KeyRefused and ProviderGone with the sentence a run would stop with, TimeoutError where the provider asks to
    wait longer than somebody who looks does.
    """

    async def ask() -> AccountAnswer:
        pacer, provider = Pacer(facts.requests_per_minute), load_provider(facts)
        async with asyncio.timeout(PATIENCE_SECONDS), Client(provider, access, pacer, BRIEF) as client:
            return AccountAnswer(await client.run(provider.read_balance(), Lane.POLL), pacer.limit)

    try:
        return asyncio.run(ask())
    except (RetryableError, TerminalError) as error:
        raise stops_a_run(error) from error


def contact_provider(settings: Settings, facts: ProviderFacts) -> ProviderContact:
    """Ask with every configured key; nobody where a run would start the service itself."""
    if runs_own_service(settings, facts):
        return ProviderContact()
    answers: list[AccountAnswer] = []
    refusals: list[StemlineError] = []
    warnings: list[str] = []
    with open_accesses(settings, facts) as accesses:
        for access in accesses:
            try:
                answers.append(ask_account(access, facts))
            except TimeoutError:
                warnings.append(
                    f"{facts.kind} asks to wait for longer than {PATIENCE_SECONDS:.0f} s: its balance is unknown."
                )
            except StemlineError as error:
                refusals.append(error)
    if answers:
        warnings += _told(refusals)
    return ProviderContact(answers, refusals, warnings)


def _told(refusals: Sequence[StemlineError]) -> Iterator[str]:
    for error in refusals:
        yield f"One API key is of no use, and a run goes on with the others: {error}"
