"""How fast a provider and the line to it proved to be, where the ledger knows."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median, quantiles

from stemline.ledger import Ledger
from stemline.ledger.past import PastTrack, newest_tracks
from stemline.settings import ProviderFacts, Settings

FEWEST = 5
"""Fewer finished tracks tell nothing."""


@dataclass(frozen=True, slots=True)
class Past:
    """What finished tracks tell; None: nothing."""

    speed: tuple[float, float] | None = None
    """Seconds a job takes for each second of audio, beyond the provider's latency: median and 90th percentile."""
    bytes_per_second: float | None = None
    """How fast stems were collected."""


def read_past(settings: Settings, facts: ProviderFacts, ledger: Ledger | None) -> Past:
    """Give what the ledger's newest tracks tell: of speed with this provider, of bandwidth with this configuration."""
    if ledger is None:
        return Past()
    found = newest_tracks(ledger, facts.kind)
    ours = [track for track in found if track.recipe == settings.recipe.as_recipe().name]
    mine = [track for track in found if track.name == settings.name]
    return Past(_speed(ours, facts) or _speed(found, facts), _bandwidth(mine, settings.execution.workers))


def _speed(found: Sequence[PastTrack], facts: ProviderFacts) -> tuple[float, float] | None:
    """Give the seconds of work for a second of audio by the provider's own clock, the usual and the slow."""
    if facts.jobs_at_once is not None:
        return _speed_in_line(found, facts.jobs_at_once)
    speeds = [
        max(0.0, took - facts.latency_seconds) / track.duration_seconds
        for track in found
        if (took := _seconds(track)) is not None
    ]
    if len(speeds) < FEWEST:
        return None
    return median(speeds), quantiles(speeds, n=10, method="inclusive")[-1]


def _speed_in_line(found: Sequence[PastTrack], places: int) -> tuple[float, float] | None:
    """Give the same where jobs wait for one of a few places: by the time in which any was under way at all."""
    spans = sorted(
        (track.job.created_at, track.job.completed_at, track.duration_seconds)
        for track in found
        if track.job.created_at and track.job.completed_at
    )
    audio = sum(seconds for _, _, seconds in spans)
    if len(spans) < FEWEST:
        return None
    busy, until = 0.0, spans[0][0]
    for begin, end, _ in spans:
        busy += max(0.0, (end - max(begin, until)).total_seconds())
        until = max(until, end)
    speed = busy * places / audio
    return (speed, speed) if speed > 0 else None


def _seconds(track: PastTrack) -> float | None:
    job = track.job
    if job.created_at is None or job.completed_at is None:
        return None
    return (job.completed_at - job.created_at).total_seconds()


def _bandwidth(found: Sequence[PastTrack], at_once: int) -> float | None:
    """Give bytes a second while a batch was collected: a whole run waits for other things as well."""
    batches = defaultdict(list)
    for track in found:
        batches[track.batch_id].append((track.collected_at, track.size_bytes))
    moved, seconds = 0, 0.0
    for batch in batches.values():
        # The first ones to end began together: what they moved was on its way before the clock is started.
        steady = sorted(batch)[at_once - 1 :]
        moved += sum(size for _, size in steady[1:])
        seconds += (steady[-1][0] - steady[0][0]).total_seconds() if steady else 0.0
    return moved / seconds if moved and seconds > 0 else None
