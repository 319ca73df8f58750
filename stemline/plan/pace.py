"""What the configuration and the provider let a run do at once."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Self

from stemline.plan.past import Past
from stemline.providers import load_provider
from stemline.settings import ProviderFacts, Settings

UNKNOWN_SPEED = 1.5
"""How much slower than its facts say a provider may be that nothing was measured of."""

PCM_BYTES = 44_100 * 2 * 2
"""A second of 16-bit stereo."""
STEM_BYTES = {"wav": PCM_BYTES, "flac": round(0.6 * PCM_BYTES), "mp3": 320_000 // 8}
"""What a second of one stem weighs; no vendor publishes its mp3 bitrate, 320 kbit/s is the most there is."""


@dataclass(frozen=True, slots=True)
class Pace:
    """What sets how fast a run can go."""

    requests_per_minute: int
    """Of each key."""
    max_in_flight: int
    """With each key."""
    keys: int = 1
    jobs_at_once: int | None = None
    """How many jobs the provider works on at once, whatever the keys; None: plenty."""
    is_listed: bool = True
    """Whether one request shows many jobs."""
    is_heard: bool = False
    """Whether the provider calls us when a job has ended."""
    sweep_seconds: float = 15.0
    latency_seconds: float = 0.0
    speed: float = 1.0
    """Seconds of work for a second of audio, and its slow end."""
    slow_speed: float = 1.5
    stem_bytes: int = 0
    """To download for a second of audio."""
    bytes_per_second: float | None = None
    """None: nothing was measured."""

    def at_slow_end(self) -> Self:
        """Give the pace with a provider at the slow end of its speed."""
        slower = self.slow_speed / self.speed if self.speed else UNKNOWN_SPEED
        return replace(self, latency_seconds=self.latency_seconds * slower, speed=self.slow_speed)

    def job_seconds(self, audio_seconds: float) -> float:
        """Give the time a job takes."""
        return self.latency_seconds + self.speed * audio_seconds


def is_embedded(settings: Settings, facts: ProviderFacts) -> bool:
    """Tell whether the run starts the service itself."""
    return not (settings.provider.base_url or facts.base_url)


def pace_of(settings: Settings, facts: ProviderFacts, past: Past, keys: int = 1) -> Pace:
    """Give the pace of a configuration; what was measured takes the place of the provider's facts."""
    provider = settings.provider
    places = facts.jobs_at_once
    if places is not None and is_embedded(settings, facts) and provider.workers is not None:
        places = provider.workers
    speed, slow = past.speed or (facts.speed, facts.speed * UNKNOWN_SPEED)
    return Pace(
        requests_per_minute=provider.requests_per_minute or facts.requests_per_minute,
        max_in_flight=provider.max_in_flight,
        keys=keys,
        jobs_at_once=places,
        is_listed=load_provider(facts).can_list,
        is_heard=settings.webhooks is not None,
        sweep_seconds=facts.sweep_seconds,
        latency_seconds=facts.latency_seconds,
        speed=speed,
        slow_speed=slow,
        stem_bytes=len(settings.recipe.as_recipe().stem_names) * STEM_BYTES[settings.recipe.format],
        bytes_per_second=past.bytes_per_second,
    )
