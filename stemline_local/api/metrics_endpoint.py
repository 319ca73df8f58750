"""`GET /metrics` of the service, as Prometheus reads it: its jobs, its queue, its answers."""

from __future__ import annotations

from collections.abc import Iterator

from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from stemline.exposition import CONTENT_TYPE, MetricDefinition, MetricKind, MetricSample, expose
from stemline_local.backend import ServiceBackend

JOB_COUNT = MetricDefinition("stemline.service.job.count", MetricKind.GAUGE, "{job}", "Jobs by status.")
AUDIO_WAITING = MetricDefinition(
    "stemline.service.audio.waiting", MetricKind.GAUGE, "s", "Audio of the jobs that are pending or running."
)
JOB_PACE = MetricDefinition(
    "stemline.service.job.pace", MetricKind.GAUGE, "1", "Work for each second of audio in the latest jobs."
)
ANSWER = MetricDefinition(
    "stemline.service.answer", MetricKind.COUNTER, "{answer}", "Answers of the API since the service started."
)


def metrics_routes(backend: ServiceBackend) -> list[Route]:
    """Give the route; it asks for no key, and counts against no limit."""

    def tell_metrics(_: Request) -> Response:
        return PlainTextResponse(expose(_samples(backend)), headers={"Content-Type": CONTENT_TYPE})

    return [Route("/metrics", tell_metrics)]


def _samples(backend: ServiceBackend) -> Iterator[MetricSample]:
    for status, count in backend.jobs.count_by_status().items():
        yield MetricSample(JOB_COUNT, count, {"stemline.service.job.status": status.lower()})
    yield MetricSample(AUDIO_WAITING, backend.jobs.waiting_seconds())
    if (pace := backend.jobs.pace()) is not None:
        yield MetricSample(JOB_PACE, pace)
    for code, count in sorted(backend.answers.copy().items()):
        yield MetricSample(ANSWER, count, {"http.response.status_code": str(code)})
