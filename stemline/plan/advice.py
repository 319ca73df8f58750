"""The one change that helps a plan most, and how much."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, replace

from stemline.plan.allowance import Allowance
from stemline.plan.forecast import IN_FLIGHT, bounds, forecast
from stemline.plan.pace import PCM_BYTES, STEM_BYTES, Pace, is_embedded
from stemline.plan.work import Work
from stemline.settings import ProviderFacts, Settings

WORTH = 1.05
"""A change that makes it less than this many times as fast is not worth naming."""
LONG_SECONDS = 60.0
"""Nor is any where it does not take longer than this."""


@dataclass(frozen=True, slots=True)
class Change:
    """Something a person may change, and what the plan would be then."""

    name: str
    work: Work
    pace: Pace
    wait_seconds: float


@dataclass(frozen=True, slots=True)
class Advisor:
    """Knows a plan, and what might be done about it."""

    settings: Settings
    facts: ProviderFacts
    work: Work
    held: Work
    pace: Pace
    allowance: Allowance

    def advise(self) -> str:
        """Give what to do, as a sentence or two: first about tracks that are held, then about speed."""
        return " ".join(part for part in (self._about_held(), self._about_speed()) if part)

    def _about_held(self) -> str:
        """Say which limits to raise, and to what, for tracks that do not fit."""
        if not self.held.tracks:
            return ""
        needed = self.allowance.needed(self.work.credits_high + self.held.credits_high)
        limits = " and ".join(f"budget.{name} to {limit:,}" for name, limit in needed.items())
        count = self.held.tracks
        them = "the track that is" if count == 1 else f"the {count:,} tracks that are"
        return f"Raise {limits} for {them} held." if limits else ""

    def _about_speed(self) -> str:
        now = self._seconds(Change("", self.work, self.pace, self.allowance.wait_seconds))
        if now <= LONG_SECONDS:
            return ""
        gains = {change.name: now / self._seconds(change) for change in self._changes()}
        best = max(gains, key=lambda name: gains[name], default=None)
        if best is None or gains[best] < WORTH:
            return "Nothing in the configuration would make it much faster."
        return f"{best} would make it {_times(gains[best])} as fast."

    def _seconds(self, change: Change) -> float:
        return forecast(change.work, change.pace, change.wait_seconds).seconds_low

    def _changes(self) -> Iterator[Change]:
        for name, pace in (*self._of_pace(), *self._of_service(), *self._of_format()):
            yield Change(name, self.work, pace, self.allowance.wait_seconds)
        if self.work.uploads:
            by_url = replace(self.work, uploads=0)
            yield Change(
                "Locations the provider can fetch by itself", by_url, self.pace, self.allowance.wait_seconds
            )
        needed = self.allowance.needed(self.work.credits_high)
        if self.allowance.wait_seconds and needed:
            limits = " and ".join(f"budget.{name}: {limit}" for name, limit in needed.items())
            yield Change(limits, self.work, self.pace, 0.0)

    def _of_pace(self) -> Iterator[tuple[str, Pace]]:
        """Give what may be changed for any provider."""
        pace, facts = self.pace, self.facts
        if not is_embedded(self.settings, facts):
            which = "A second API key" if pace.keys == 1 else "One more API key"
            yield f"{which} (provider.keys)", replace(pace, keys=pace.keys + 1)
        wanted = self._wanted_in_flight()
        if wanted > pace.max_in_flight:
            yield f"provider.max_in_flight: {wanted}", replace(pace, max_in_flight=wanted)
        if pace.requests_per_minute < facts.requests_per_minute:
            most = facts.requests_per_minute
            yield f"provider.requests_per_minute: {most}", replace(pace, requests_per_minute=most)
        if not pace.is_heard and not is_embedded(self.settings, facts):
            yield "Webhooks (webhooks.public_url)", replace(pace, is_heard=True)

    def _of_service(self) -> Iterator[tuple[str, Pace]]:
        """Give what may be changed where the run starts the service itself."""
        pace = self.pace
        if is_embedded(self.settings, self.facts) and pace.jobs_at_once is not None:
            more = pace.jobs_at_once + 1
            yield f"One more worker (provider.workers: {more})", replace(pace, jobs_at_once=more)
            twice = 2 * pace.requests_per_minute
            yield f"provider.requests_per_minute: {twice}", replace(pace, requests_per_minute=twice)

    def _of_format(self) -> Iterator[tuple[str, Pace]]:
        """Give a lighter format of the same sound; mp3 is not one."""
        if self.settings.recipe.format == "wav" and "flac" in self.facts.formats:
            lighter = self.pace.stem_bytes * STEM_BYTES["flac"] // PCM_BYTES
            yield "recipe.format: flac", replace(self.pace, stem_bytes=lighter)

    def _wanted_in_flight(self) -> int:
        """Give as many jobs at once as it takes for something else to be slower."""
        limits = bounds(self.work, self.pace)
        each = self.pace.job_seconds(self.work.audio_seconds / self.work.tracks)
        others = max(seconds for name, seconds in limits.items() if name != IN_FLIGHT)
        return math.ceil(self.work.tracks / self.pace.keys / (1 + others / each))


def _times(ratio: float) -> str:
    return f"{ratio:.1f} x" if ratio < 10 else f"{ratio:.0f} x"
