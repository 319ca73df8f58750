"""How long requests to a provider took, by endpoint and outcome: OpenTelemetry's `http.client.request.duration`.

Attributes and bounds: https://opentelemetry.io/docs/specs/semconv/http/http-metrics/#metric-httpclientrequestduration
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable
from dataclasses import dataclass, field
from threading import Lock

from stemline.exposition import BucketCounts, MetricSample
from stemline.telemetry.metric import HTTP_CLIENT_DURATION

BOUNDS = (0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1.0, 2.5, 5.0, 7.5, 10.0)
UPLOAD = "{upload_url}"
"""The template of whatever URL a provider gives to send a file to."""


@dataclass(frozen=True, slots=True)
class RequestOutcome:
    """One request as it came back, or did not."""

    method: str
    template: str
    """The path with what differs from job to job in braces."""
    server: str
    port: int
    status: int | None
    """None: there was no answer."""
    error: str | None
    """The kind of what went wrong, where there was no answer."""
    seconds: float

    @property
    def attributes(self) -> dict[str, str]:
        """What tells it from others, by OpenTelemetry's names."""
        found = {
            "http.request.method": self.method,
            "server.address": self.server,
            "server.port": str(self.port),
            "url.template": self.template,
        }
        if self.status is not None:
            found["http.response.status_code"] = str(self.status)
        if self.status is None or self.status >= 400:
            found["error.type"] = str(self.status or self.error or "_OTHER")
        return found


@dataclass
class RequestDurations:
    """The requests of one run, from any thread."""

    listeners: list[Callable[[RequestOutcome], object]] = field(default_factory=list)
    """Are told of each as well."""
    _counts: dict[tuple[tuple[str, str], ...], list[int]] = field(default_factory=dict)
    _sums: dict[tuple[tuple[str, str], ...], float] = field(default_factory=dict)
    _lock: Lock = field(default_factory=Lock)

    def record(self, outcome: RequestOutcome) -> None:
        """Count one."""
        key = tuple(outcome.attributes.items())
        with self._lock:
            counts = self._counts.setdefault(key, [0] * (len(BOUNDS) + 1))
            counts[bisect_left(BOUNDS, outcome.seconds)] += 1
            self._sums[key] = self._sums.get(key, 0.0) + outcome.seconds
        for tell in self.listeners:
            tell(outcome)

    def read(self) -> list[MetricSample]:
        """Give what was counted."""
        with self._lock:
            return [
                MetricSample(
                    HTTP_CLIENT_DURATION, BucketCounts(BOUNDS, tuple(counts), self._sums[key]), dict(key)
                )
                for key, counts in self._counts.items()
            ]
