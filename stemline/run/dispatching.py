"""The dispatchers of a run, started with the provider reached and its webhooks received."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING

from stemline.client import Access
from stemline.dispatcher import DispatcherGroup, LeasedKey, ReadyQueue, RunParameters, running_dispatchers
from stemline.providers import load_provider
from stemline.records import Event
from stemline.run.access import fingerprint, open_accesses
from stemline.run.limits import LiveBudget
from stemline.webhooks import receiving_webhooks

if TYPE_CHECKING:
    from stemline.run.run import Run


@contextmanager
def start_dispatchers(run: Run, selected: int) -> Iterator[DispatcherGroup]:
    """Submit a run's planned tracks for the length of a `with` block; a local service of its own lives as long."""
    execution = run.settings.execution
    with ExitStack() as stack:
        accesses = stack.enter_context(open_accesses(run.settings, run.facts))
        keys = [_lease_of(run, access) for access in accesses]
        ready_queue = ReadyQueue(execution.batch_tracks, execution.batch_seconds, producers=len(keys))
        parameters = _parameters(run, selected, stack.enter_context(_receiving_webhooks(run, accesses)))
        provider = load_provider(run.facts)
        yield stack.enter_context(running_dispatchers(run.ledger, provider, keys, parameters, ready_queue))


def _lease_of(run: Run, access: Access) -> LeasedKey:
    key_id = fingerprint(access.api_key)
    return LeasedKey(access, key_id, run.fences[key_id])


@contextmanager
def _receiving_webhooks(run: Run, accesses: Sequence[Access]) -> Iterator[str | None]:
    """Have the provider call us, where the configuration says how; give the URL it calls."""
    if run.settings.webhooks is None:
        yield None
        return

    def wake(event: Event) -> None:
        if run.dispatchers is not None:
            run.dispatchers.wake(event)

    with receiving_webhooks(run.settings, accesses, run.ledger, wake) as route:
        yield route.url


def _parameters(run: Run, selected: int, hook_url: str | None) -> RunParameters:
    settings = run.settings
    return RunParameters(
        run_id=run.run_id,
        kind=settings.provider.kind,
        recipe=settings.recipe.as_recipe(),
        read_limits=LiveBudget(settings),
        on_limit=settings.budget.on_limit,
        max_in_flight=settings.provider.max_in_flight,
        requests_per_minute=settings.provider.requests_per_minute or run.facts.requests_per_minute,
        max_attempts=settings.failures.max_attempts,
        tolerate=settings.failures.tolerate,
        selected=selected,
        send=settings.catalogue.send,
        hook_url=hook_url,
    )
