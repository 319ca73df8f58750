"""How fast a run can go: what the configuration and the provider allow, and what earlier runs measured."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, replace
from statistics import median, quantiles
from typing import Self

from stemline.ledger import Ledger, TrackTiming
from stemline.local import load_local_service
from stemline.providers import load_provider
from stemline.settings import ProviderFacts, Settings

UNMEASURED_SLOWDOWN = 1.5
"""How many times as slow as its facts say a provider may be, where nothing was measured."""

PCM_BYTES = 44_100 * 2 * 2
"""A second of 16-bit stereo."""
STEM_BYTES = {"wav": PCM_BYTES, "flac": round(0.6 * PCM_BYTES), "mp3": 320_000 // 8}
"""What a second of one stem weighs; no vendor publishes its mp3 bitrate, 320 kbit/s is the most there is."""
FEWEST_TRACKS = 5
"""Nothing is measured from fewer finished tracks."""


@dataclass(frozen=True, slots=True)
class MeasuredPace:
    """How fast earlier tracks were processed; None where there are too few."""

    speed: tuple[float, float] | None = None
    """Seconds a job takes for each second of audio, beyond the provider's latency: median and 90th percentile."""
    bytes_per_second: float | None = None
    """How fast stems were collected."""


@dataclass(frozen=True, slots=True)
class RunCapacity:
    """The limits that set how fast a run can go."""

    requests_per_minute: int
    """Of each key."""
    max_in_flight: int
    """With each key."""
    keys: int = 1
    jobs_at_once: int | None = None
    """How many jobs the provider works on at once, whatever the keys; None: plenty."""
    has_job_list: bool = True
    """Whether one request lists many jobs."""
    has_webhooks: bool = False
    """Whether a webhook tells when a job has ended."""
    has_pilot: bool = False
    """Whether the first tracks must come back before the others are sent."""
    list_poll_seconds: float = 15.0
    """How often the job list is read."""
    latency_seconds: float = 0.0
    speed: float = 1.0
    """Seconds of work for a second of audio, and its slow end."""
    slow_speed: float = 1.5
    stem_bytes: int = 0
    """To download for a second of audio."""
    bytes_per_second: float | None = None
    """None: nothing was measured."""

    def at_slow_end(self) -> Self:
        """Give the capacity with a provider at the slow end of its speed."""
        slower = self.slow_speed / self.speed if self.speed else UNMEASURED_SLOWDOWN
        return replace(self, latency_seconds=self.latency_seconds * slower, speed=self.slow_speed)

    def job_seconds(self, audio_seconds: float) -> float:
        """Give the time a job takes."""
        return self.latency_seconds + self.speed * audio_seconds


def runs_own_service(settings: Settings, facts: ProviderFacts) -> bool:
    """Tell whether the run starts the service itself."""
    return not (settings.provider.base_url or facts.base_url)


def count_workers(settings: Settings, facts: ProviderFacts) -> int | None:
    """Give how many jobs the provider works on at once; None: plenty. The service a run starts itself is asked."""
    if facts.jobs_at_once is None:
        return None
    if not runs_own_service(settings, facts):
        return facts.jobs_at_once * max(1, len(settings.provider.base_urls))
    return settings.provider.workers or load_local_service().default_workers()


def capacity_of(
    settings: Settings, facts: ProviderFacts, measured: MeasuredPace, keys: int = 1
) -> RunCapacity:
    """Give the capacity of a configuration; what was measured takes the place of the provider's facts."""
    provider = settings.provider
    speed, slow = measured.speed or (facts.speed, facts.speed * UNMEASURED_SLOWDOWN)
    return RunCapacity(
        requests_per_minute=facts.pace(provider),
        max_in_flight=provider.max_in_flight,
        keys=keys,
        jobs_at_once=count_workers(settings, facts),
        has_job_list=load_provider(facts).can_list,
        has_webhooks=settings.webhooks is not None,
        list_poll_seconds=facts.sweep_seconds,
        latency_seconds=facts.latency_seconds,
        speed=speed,
        slow_speed=slow,
        stem_bytes=len(settings.recipe.as_recipe().stem_names) * STEM_BYTES[settings.recipe.format],
        bytes_per_second=measured.bytes_per_second,
    )


def read_measured_pace(settings: Settings, facts: ProviderFacts, ledger: Ledger | None) -> MeasuredPace:
    """Give the speed of this provider and the bandwidth of this configuration, by the ledger's newest tracks."""
    if ledger is None:
        return MeasuredPace()
    found = ledger.queries.newest_tracks(facts.kind)
    same_recipe = [track for track in found if track.recipe == settings.recipe.as_recipe().name]
    same_config = [track for track in found if track.name == settings.name]
    workers = count_workers(settings, facts)
    return MeasuredPace(
        _speed(same_recipe, facts, workers) or _speed(found, facts, workers),
        _bandwidth(same_config, settings.execution.workers),
    )


def _speed(
    found: Sequence[TrackTiming], facts: ProviderFacts, workers: int | None
) -> tuple[float, float] | None:
    """Give the seconds of work for a second of audio by the provider's own clock, the usual and the slow."""
    if workers is not None:
        return _speed_of_queued(found, workers)
    speeds = [
        max(0.0, took - facts.latency_seconds) / track.duration_seconds
        for track in found
        if (took := _job_seconds(track)) is not None
    ]
    if len(speeds) < FEWEST_TRACKS:
        return None
    return median(speeds), quantiles(speeds, n=10, method="inclusive")[-1]


def _speed_of_queued(found: Sequence[TrackTiming], workers: int) -> tuple[float, float] | None:
    """Give the same where jobs queue for a few workers: by the time in which any job was under way at all."""
    spans = sorted(
        (track.job.created_at, track.job.completed_at, track.duration_seconds)
        for track in found
        if track.job.created_at and track.job.completed_at
    )
    audio = sum(seconds for _, _, seconds in spans)
    if len(spans) < FEWEST_TRACKS:
        return None
    busy, until = 0.0, spans[0][0]
    for begin, end, _ in spans:
        busy += max(0.0, (end - max(begin, until)).total_seconds())
        until = max(until, end)
    speed = busy * workers / audio
    return (speed, speed) if speed > 0 else None


def _job_seconds(track: TrackTiming) -> float | None:
    job = track.job
    if job.created_at is None or job.completed_at is None:
        return None
    return (job.completed_at - job.created_at).total_seconds()


def _bandwidth(found: Sequence[TrackTiming], at_once: int) -> float | None:
    """Give bytes a second while a batch was collected: a whole run waits for other things as well."""
    batches = defaultdict(list)
    for track in found:
        batches[track.batch_id].append((track.collected_at, track.size_bytes))
    size, seconds = 0, 0.0
    for batch in batches.values():
        # The first downloads began together, before the first of them ended: their bytes are not counted.
        steady = sorted(batch)[at_once - 1 :]
        size += sum(bytes_ for _, bytes_ in steady[1:])
        seconds += (steady[-1][0] - steady[0][0]).total_seconds() if steady else 0.0
    return size / seconds if size and seconds > 0 else None
