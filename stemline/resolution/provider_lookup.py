"""What the provider says about one attempt, asked with the API key it was sent with."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import TypeVar

from stemline.client import Access, Client, Lane, Pacer, RetryPolicy
from stemline.errors import TerminalError, UsageError
from stemline.protocol import Provider, Steps
from stemline.providers import load_provider
from stemline.records import Attempt, Job
from stemline.run.access import key_id_of, open_accesses
from stemline.settings import Settings, load_facts

T = TypeVar("T")

RETRIES = RetryPolicy(tries=2)
"""Somebody waits for the answer."""


class ProviderLookup:
    """Asks the provider about one attempt."""

    def __init__(self, settings: Settings, attempt: Attempt, key_id: str | None) -> None:
        """Open nothing yet; `key_id` is the fingerprint of the attempt's key, None where none was noted."""
        self._settings, self._attempt, self._key_id = settings, attempt, key_id

    def candidates(self) -> list[Job] | None:
        """Give the listed jobs that the attempt's submit may have made; None from a provider without a list."""

        def build(provider: Provider) -> Steps[list[Job]] | None:
            return provider.candidates(self._attempt) if provider.can_list else None

        return self._ask(build)

    def read_job(self, job_id: str) -> Job:
        """Give a job; raises UsageError when the provider knows none of that id."""
        fix = "`stemline resolve` without an option shows the jobs that it could be."
        try:
            job = self._ask(lambda provider: provider.read_job(job_id))
        except TerminalError as error:
            raise UsageError(f"Job {job_id} cannot be adopted. {error.message}", fix=fix) from error
        if job is None or job.job_id != job_id:
            raise UsageError(f"{self._settings.provider.kind} knows no job {job_id}.", fix=fix)
        return job

    def _ask(self, build: Callable[[Provider], Steps[T] | None]) -> T | None:
        facts = load_facts(self._settings.provider.kind)
        provider = load_provider(facts)
        steps = build(provider)
        if steps is None:
            return None
        pacer = Pacer(facts.pace(self._settings.provider))

        async def ask(access: Access) -> T:
            async with Client(provider, access, pacer, RETRIES) as client:
                return await client.run(steps, Lane.POLL)

        with open_accesses(self._settings, facts) as accesses:
            return asyncio.run(ask(self._own_access(accesses)))

    def _own_access(self, accesses: tuple[Access, ...]) -> Access:
        mine = [each for each in accesses if self._key_id in {None, key_id_of(each)}]
        if not mine:
            raise UsageError(
                "The track was sent with an API key that the configuration no longer holds.",
                fix="Add that key to provider.keys, or resolve the track with --resubmit or --abandon.",
            )
        return mine[0]
