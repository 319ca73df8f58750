"""The one change that helps a plan most, and how much."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, replace

from stemline.plan.budget_simulation import BudgetSimulation
from stemline.plan.capacity import PCM_BYTES, STEM_BYTES, RunCapacity, runs_own_service
from stemline.plan.forecast import IN_FLIGHT, bottleneck_seconds, forecast_workload
from stemline.plan.workload import Workload
from stemline.settings import ProviderFacts, Settings
from stemline.wording import about

WORTH_NAMING = 1.2
"""A change that makes it less than this many times as fast is not worth naming."""
WORTH_SECONDS = 600.0
"""Nor is one that saves less than this: nobody changes a configuration for a few minutes."""


@dataclass(frozen=True, slots=True)
class ConfigChange:
    """A change to the configuration, and what the run would have to do and could do then."""

    name: str
    workload: Workload
    capacity: RunCapacity
    wait_seconds: float


@dataclass(frozen=True, slots=True)
class Advisor:
    """Finds what would help a plan: each change is forecast, and the best one named with how much it gives."""

    settings: Settings
    facts: ProviderFacts
    workload: Workload
    held: Workload
    capacity: RunCapacity
    simulation: BudgetSimulation

    def advise(self) -> str:
        """Give what to do, as a sentence or two: first about tracks that are held, then about speed."""
        return " ".join(part for part in (self._advice_on_held(), self._advice_on_speed()) if part)

    def _advice_on_held(self) -> str:
        """Say which limits to raise, and to what, for tracks that do not fit."""
        if not self.held.tracks:
            return ""
        wanted = self.workload.credits_high + self.held.credits_high
        ceiling = self.simulation.ceiling_needed(wanted)
        if ceiling is None:
            needed = self.simulation.limits_needed(wanted)
            limits = " and ".join(f"budget.{name} to {limit:,}" for name, limit in needed.items())
        else:  # the days and months pass by themselves
            limits = f"its ceiling to {ceiling:,} (--credits {ceiling})"
        count = self.held.tracks
        them = "the track that is" if count == 1 else f"the {count:,} tracks that are"
        return f"Raise {limits} for {them} held." if limits else ""

    def _advice_on_speed(self) -> str:
        now = self._seconds(ConfigChange("", self.workload, self.capacity, self.simulation.wait_seconds))
        if now <= WORTH_SECONDS:
            return ""
        gains = {change.name: now / self._seconds(change) for change in self._changes()}
        best = max(gains, key=lambda name: gains[name], default=None)
        if best is None or gains[best] < WORTH_NAMING or now - now / gains[best] < WORTH_SECONDS:
            return ""
        return f"{best} would bring it from {about(now)} to {about(now / gains[best])}."

    def _seconds(self, change: ConfigChange) -> float:
        return forecast_workload(change.workload, change.capacity, change.wait_seconds).seconds_low

    def _changes(self) -> Iterator[ConfigChange]:
        for name, capacity in (*self._any_provider(), *self._own_service(), *self._lighter_format()):
            yield ConfigChange(name, self.workload, capacity, self.simulation.wait_seconds)
        if self.workload.uploads:
            by_url = replace(self.workload, uploads=0)
            yield ConfigChange(
                "Locations the provider can fetch by itself",
                by_url,
                self.capacity,
                self.simulation.wait_seconds,
            )
        needed = self.simulation.limits_needed(self.workload.credits_high)
        if self.simulation.wait_seconds and needed:
            limits = " and ".join(f"budget.{name}: {limit}" for name, limit in needed.items())
            yield ConfigChange(limits, self.workload, self.capacity, 0.0)

    def _any_provider(self) -> Iterator[tuple[str, RunCapacity]]:
        """Give what may be changed for any provider."""
        capacity, facts = self.capacity, self.facts
        if not runs_own_service(self.settings, facts):
            which = "A second API key" if capacity.keys == 1 else "One more API key"
            yield f"{which} (provider.keys)", replace(capacity, keys=capacity.keys + 1)
        wanted = self._wanted_in_flight()
        if wanted > capacity.max_in_flight:
            yield f"provider.max_in_flight: {wanted}", replace(capacity, max_in_flight=wanted)
        if capacity.requests_per_minute < facts.requests_per_minute:
            most = facts.requests_per_minute
            yield f"provider.requests_per_minute: {most}", replace(capacity, requests_per_minute=most)
        if not capacity.has_webhooks and not runs_own_service(self.settings, facts):
            yield "Webhooks (webhooks.public_url)", replace(capacity, has_webhooks=True)

    def _own_service(self) -> Iterator[tuple[str, RunCapacity]]:
        """Give what may be changed where the run starts the service itself."""
        capacity = self.capacity
        if runs_own_service(self.settings, self.facts) and capacity.jobs_at_once is not None:
            more = capacity.jobs_at_once + 1
            yield f"One more worker (provider.workers: {more})", replace(capacity, jobs_at_once=more)
            twice = 2 * capacity.requests_per_minute
            yield f"provider.requests_per_minute: {twice}", replace(capacity, requests_per_minute=twice)

    def _lighter_format(self) -> Iterator[tuple[str, RunCapacity]]:
        """Give a lighter format of the same sound; mp3 is not one."""
        if self.settings.recipe.format == "wav" and "flac" in self.facts.formats:
            lighter = self.capacity.stem_bytes * STEM_BYTES["flac"] // PCM_BYTES
            yield "recipe.format: flac", replace(self.capacity, stem_bytes=lighter)

    def _wanted_in_flight(self) -> int:
        """Give as many jobs at once as it takes for something else to be slower."""
        limits = bottleneck_seconds(self.workload, self.capacity)
        each = self.capacity.job_seconds(self.workload.audio_seconds / self.workload.tracks)
        others = max(seconds for name, seconds in limits.items() if name != IN_FLIGHT)
        return math.ceil(self.workload.tracks / self.capacity.keys / (1 + others / each))
