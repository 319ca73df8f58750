"""The dispatchers of a run, started with the provider reached and its webhooks received."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass

from stemline.budget import Limits
from stemline.client import Access
from stemline.dispatcher import DispatcherGroup, LeasedKey, ReadyQueue, RunParameters, running_dispatchers
from stemline.ledger import Ledger
from stemline.providers import load_provider
from stemline.records import Event
from stemline.run.access import key_id_of, open_accesses
from stemline.run.lane import LaneWatch, lane_limits
from stemline.run.limits import LiveBudget
from stemline.settings import ProviderFacts, Settings
from stemline.telemetry.request_durations import RequestOutcome
from stemline.webhooks import receiving_webhooks


@dataclass(frozen=True, slots=True)
class DispatcherSetup:
    """What the dispatchers of one run are started from."""

    settings: Settings
    facts: ProviderFacts
    ledger: Ledger
    run_id: str
    fences: Mapping[str, int]
    """The fence of each API key's lease, by the key's fingerprint."""
    read_selected: Callable[[], int | None]
    """How many tracks the run has to do; None while more are being planned."""
    lane: LaneWatch | None = None
    """What looks after the backfill that the run is part of."""
    on_request: Callable[[RequestOutcome], object] = lambda _: None
    """Is told of every request to the provider once it has come back."""

    @contextmanager
    def start(self) -> Iterator[DispatcherGroup]:
        """Submit planned tracks for the length of a `with` block; a local service of its own lives as long."""
        groups: list[DispatcherGroup] = []
        with ExitStack() as stack:
            accesses = stack.enter_context(open_accesses(self.settings, self.facts))
            keys = [self._leased(access) for access in accesses]
            ready_queue = ReadyQueue(producers=len(keys))
            parameters = self._parameters(stack.enter_context(self._receiving_webhooks(accesses, groups)))
            provider = load_provider(self.facts)
            groups.append(
                stack.enter_context(running_dispatchers(self.ledger, provider, keys, parameters, ready_queue))
            )
            yield groups[0]

    def _leased(self, access: Access) -> LeasedKey:
        key_id = key_id_of(access)
        return LeasedKey(access, key_id, self.fences[key_id])

    @contextmanager
    def _receiving_webhooks(
        self, accesses: Sequence[Access], groups: Sequence[DispatcherGroup]
    ) -> Iterator[str | None]:
        """Have the provider call us, where the configuration says how; give the URL it calls.

        `groups` are woken by every event: they are started only once that URL is known.
        """
        if self.settings.webhooks is None:
            yield None
            return

        def wake(event: Event) -> None:
            for group in groups:
                group.wake(event)

        with receiving_webhooks(self.settings, accesses, self.ledger, wake) as route:
            yield route.url

    def _parameters(self, hook_url: str | None) -> RunParameters:
        settings = self.settings
        return RunParameters(
            run_id=self.run_id,
            kind=settings.provider.kind,
            recipe=settings.recipe.as_recipe(),
            read_limits=self._limits_reader(),
            on_limit=settings.budget.on_limit,
            max_in_flight=settings.provider.max_in_flight,
            requests_per_minute=self.facts.pace(settings.provider),
            rate_share=1.0 if self.lane is None else self.lane.backfill.share,
            max_attempts=settings.failures.max_attempts,
            tolerate=settings.failures.tolerate,
            pilot=settings.provider.pilot_tracks,
            read_selected=self.read_selected,
            job_timeout_seconds=settings.provider.job_timeout,
            send=settings.catalogue.send,
            is_backfill=self.lane is not None,
            hook_url=hook_url,
            on_request=self.on_request,
        )

    def _limits_reader(self) -> Callable[[], Limits]:
        read, lane = LiveBudget(self.settings), self.lane
        return read if lane is None else lambda: lane_limits(read(), lane.backfill)
