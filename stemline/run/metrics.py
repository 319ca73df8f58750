"""A run's metrics, told to Prometheus and to an OpenTelemetry collector for as long as it goes on."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from stemline.exposition import MetricSample
from stemline.ledger import Ledger
from stemline.settings import Settings
from stemline.telemetry.collector_export import exporting_to_collector
from stemline.telemetry.ledger_metrics import LedgerMetrics
from stemline.telemetry.request_durations import RequestDurations

METRICS_KEY = "telemetry.metrics"


@contextmanager
def exporting_metrics(ledger: Ledger, settings: Settings, requests: RequestDurations) -> Iterator[None]:
    """Have metrics told wherever configuration and environment say, for the length of a `with` block.

    Raises ConfigError where the address cannot be listened on.
    """
    ledger_metrics = LedgerMetrics(ledger, settings)

    def read() -> list[MetricSample]:
        return [*ledger_metrics.read(), *requests.read()]

    with (
        _serving_metrics(settings.telemetry.metrics, read),
        exporting_to_collector(ledger_metrics.read, requests),
    ):
        yield


@contextmanager
def _serving_metrics(address: str | None, read: Callable[[], list[MetricSample]]) -> Iterator[None]:
    if address is None:
        yield
        return
    from starlette.applications import Starlette  # noqa: PLC0415 - where nobody asks there is no server

    from stemline.telemetry.endpoint import metrics_route  # noqa: PLC0415
    from stemline.webhooks.server import serve_receiver  # noqa: PLC0415

    with serve_receiver(Starlette(routes=[metrics_route(read)]), address, METRICS_KEY):
        yield
