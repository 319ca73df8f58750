"""What came of a scenario: every request and every track's times, and the figures they come to."""

from __future__ import annotations

from array import array
from dataclasses import dataclass, field

MINUTE_SECONDS = 60.0


@dataclass
class SimulationResult:
    """Virtual times in seconds from the start."""

    granted: list[array[float]] = field(default_factory=list)
    """By key: when each request was let in."""
    refused: int = 0
    requests_per_minute: int = 60
    done_at: array[float] = field(default_factory=lambda: array("d"))
    """When the vendor was done with each collected track."""
    collected_at: array[float] = field(default_factory=lambda: array("d"))
    """When it was collected, in the same order."""
    jobs: int = 0
    jobs_kept: int = 0
    """How many of them the vendors still remember."""
    cpu_seconds: float = 0.0
    """What all of it took, planning left out."""
    vendor_cpu_seconds: float = 0.0
    """What the vendors took of it to answer."""
    collector_cpu_seconds: float = 0.0
    """What it took of it to book the tracks as collected."""

    @property
    def dispatcher_cpu_seconds(self) -> float:
        """What the dispatchers took, the event loop and the client's side of the transport included."""
        return self.cpu_seconds - self.vendor_cpu_seconds - self.collector_cpu_seconds

    @property
    def tracks(self) -> int:
        """How many tracks were collected."""
        return len(self.collected_at)

    @property
    def requests_per_track(self) -> float:
        """Requests let in, to everything, for each collected track."""
        return sum(len(times) for times in self.granted) / max(1, self.tracks)

    @property
    def seconds(self) -> float:
        """How long all of it took."""
        return max(self.collected_at)

    def share(self, begin: float, end: float) -> float:
        """Give the share of the granted requests that was used between two times, by all keys together."""
        used = sum(begin <= time < end for times in self.granted for time in times)
        return used / (len(self.granted) * self.requests_per_minute * (end - begin) / MINUTE_SECONDS)

    def tracks_per_minute(self, begin: float, end: float) -> float:
        """Give the tracks collected in a minute between two times."""
        return MINUTE_SECONDS * sum(begin <= time < end for time in self.collected_at) / (end - begin)

    def finish(self) -> float:
        """Give the seconds from the vendor's end of its last job to ours."""
        return self.seconds - max(self.done_at)

    def lags(self) -> list[float]:
        """Give how long each track lay with the vendor after it was done, shortest first."""
        return sorted(
            collected - done for collected, done in zip(self.collected_at, self.done_at, strict=True)
        )
