"""OpenTelemetry: metrics and traces to a collector, where the standard OTEL_EXPORTER_OTLP_ENDPOINT names one.

All else is configured by the SDK's own variables, such as OTEL_SERVICE_NAME, OTEL_EXPORTER_OTLP_HEADERS and
OTEL_METRIC_EXPORT_INTERVAL: https://opentelemetry.io/docs/specs/otel/configuration/sdk-environment-variables/
"""

from __future__ import annotations

import atexit
import logging
import os
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cache
from threading import Event, Thread
from typing import TYPE_CHECKING, Any

from stemline import __version__
from stemline.errors import StemlineError
from stemline.exposition import BucketCounts, MetricDefinition, MetricKind, MetricSample
from stemline.settings.redactor import present_redactor
from stemline.telemetry import metric
from stemline.telemetry.request_durations import BOUNDS, RequestDurations, RequestOutcome

if TYPE_CHECKING:
    from opentelemetry.metrics import CallbackOptions, Meter, Observation
    from opentelemetry.sdk.resources import Resource
    from opentelemetry.trace import Span

MISSING = (
    "%s is set and OpenTelemetry's SDK is not installed: nothing is sent. Fix: pip install 'stemline[otel]'."
)
SPOKEN = "http/protobuf"
CLOSE_MILLISECONDS = 5_000
"""How long the end of a run waits for a collector to take what is left."""
ONE_LOOK_SECONDS = 1.0
"""All metrics of one export are of one look at the ledger."""
_ENDPOINT = "OTEL_EXPORTER_OTLP{}_ENDPOINT"

logger = logging.getLogger(__name__)
_was_waited_for_in_vain = Event()
"""Set once a collector has let a whole wait pass: it gets no second one."""


def is_wanted(signal: str, environ: Mapping[str, str] = os.environ) -> bool:
    """Tell whether `METRICS` or `TRACES` are to be sent, and whether they can be; says so where they cannot."""
    if environ.get("OTEL_SDK_DISABLED", "").lower() == "true":
        return False
    if environ.get(f"OTEL_{signal}_EXPORTER", "otlp") != "otlp":
        return False
    protocol = environ.get(
        f"OTEL_EXPORTER_OTLP_{signal}_PROTOCOL", environ.get("OTEL_EXPORTER_OTLP_PROTOCOL")
    )
    named = [name for name in (_ENDPOINT.format(f"_{signal}"), _ENDPOINT.format("")) if environ.get(name)]
    return bool(named) and _is_spoken(protocol or SPOKEN) and _is_installed(named[0])


@cache
def _is_spoken(protocol: str) -> bool:
    if protocol != SPOKEN:
        logger.warning("OTLP is spoken as %s alone, not as %s: nothing is sent.", SPOKEN, protocol)
    return protocol == SPOKEN


@cache
def _is_installed(variable: str) -> bool:
    try:
        import opentelemetry.exporter.otlp.proto.http  # noqa: F401, PLC0415
    except ImportError:
        logger.warning(MISSING, variable)
        return False
    return True


@contextmanager
def exporting_to_collector(
    read: Callable[[], list[MetricSample]], requests: RequestDurations | None = None
) -> Iterator[None]:
    """Send what `read` gives, and each request as it comes back, to the collector for the length of a `with` block.

    Nothing where no collector is configured. One that is away ends nothing, and is waited for CLOSE_MILLISECONDS.
    """
    if not is_wanted("METRICS"):
        yield
        return
    from opentelemetry.exporter.otlp.proto.http.metric_exporter import OTLPMetricExporter  # noqa: PLC0415
    from opentelemetry.sdk.metrics import MeterProvider  # noqa: PLC0415
    from opentelemetry.sdk.metrics.export import PeriodicExportingMetricReader  # noqa: PLC0415

    reader = PeriodicExportingMetricReader(OTLPMetricExporter())
    provider = MeterProvider([reader], resource=_resource(), shutdown_on_exit=False)
    meter = provider.get_meter("stemline", __version__)
    _observe(meter, _OneLook(read))
    if requests is not None:
        requests.listeners.append(_request_recorder(meter))
    try:
        yield
    finally:
        _wait_for("metrics", provider.shutdown)


@contextmanager
def traced(
    name: str, attributes: Mapping[str, str | int], began_ns: int | None = None
) -> Iterator[TracedSpan]:
    """Have a span for the length of a `with` block, or from `began_ns` on; below the present one, such as Prefect's.

    Where there is none, below the one that the environment's TRACEPARENT names.
    """
    if not prepare_tracing():
        yield TracedSpan()
        return
    from opentelemetry import trace  # noqa: PLC0415

    tracer = trace.get_tracer("stemline", __version__)
    with tracer.start_as_current_span(
        name,
        _parent(),
        attributes=dict(attributes),
        start_time=began_ns,
        record_exception=False,  # its text may hold what is secret
        set_status_on_exception=False,
    ) as span:
        try:
            yield TracedSpan(span)
        except BaseException as error:
            kind = type(error)
            span.set_attribute("error.type", f"{kind.__module__}.{kind.__qualname__}")
            span.set_status(trace.StatusCode.ERROR, present_redactor()(str(error)))
            raise


@dataclass(frozen=True, slots=True)
class TracedSpan:
    """A span that may not be one."""

    _span: Span | None = None

    def add(self, attributes: Mapping[str, str | int]) -> None:
        """Say more of it."""
        if self._span is not None:
            self._span.set_attributes(dict(attributes))


def flush_traces() -> None:
    """Send the spans that have ended."""
    if is_wanted("TRACES"):
        from opentelemetry import trace  # noqa: PLC0415

        flush = getattr(trace.get_tracer_provider(), "force_flush", None)
        if flush is not None:
            _wait_for("spans", flush)


def _wait_for(what: str, send: Callable[[int], object]) -> None:
    """Send what is left, for CLOSE_MILLISECONDS at most: the SDK waits for an answer as long as for any other."""

    def try_to_send() -> None:
        try:
            send(CLOSE_MILLISECONDS)
        except Exception as error:  # noqa: BLE001 - a collector that is away ends no run
            logger.warning("The last %s were not sent: %s.", what, type(error).__name__)

    sending = Thread(target=try_to_send, name=f"last {what}", daemon=True)
    sending.start()
    sending.join(CLOSE_MILLISECONDS / 1_000)
    if sending.is_alive():
        _was_waited_for_in_vain.set()


def _flush_at_exit() -> None:
    """Send the spans that end behind a run's, such as Prefect's."""
    if not _was_waited_for_in_vain.is_set():
        flush_traces()


@cache
def prepare_tracing() -> bool:
    """Have spans of this process be sent where the environment says; tell whether they are.

    A provider that somebody has set, such as `opentelemetry-instrument`, is used as it is.
    """
    if not is_wanted("TRACES"):
        return False
    from opentelemetry import trace  # noqa: PLC0415
    from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter  # noqa: PLC0415
    from opentelemetry.sdk.trace import TracerProvider  # noqa: PLC0415
    from opentelemetry.sdk.trace.export import BatchSpanProcessor  # noqa: PLC0415

    if isinstance(trace.get_tracer_provider(), trace.ProxyTracerProvider):
        # At exit the SDK would wait once more for a collector that says nothing.
        provider = TracerProvider(resource=_resource(), shutdown_on_exit=False)
        provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter()))
        trace.set_tracer_provider(provider)
        atexit.register(_flush_at_exit)
    return True


def _parent() -> Any:  # noqa: ANN401 - OpenTelemetry's context, or None for the present one
    from opentelemetry import propagate, trace  # noqa: PLC0415

    if trace.get_current_span().get_span_context().is_valid or "TRACEPARENT" not in os.environ:
        return None
    carrier = {
        name: os.environ[name.upper()] for name in ("traceparent", "tracestate") if name.upper() in os.environ
    }
    return propagate.extract(carrier)


@cache
def _resource() -> Resource:
    from opentelemetry.sdk.resources import Resource  # noqa: PLC0415

    own = {"service.version": __version__, "service.instance.id": f"{os.uname().nodename}:{os.getpid()}"}
    if "service.name=" not in os.environ.get("OTEL_RESOURCE_ATTRIBUTES", ""):
        own["service.name"] = os.environ.get("OTEL_SERVICE_NAME", "stemline")
    return Resource.create(own)


@dataclass
class _OneLook:
    """What was read last, for the metrics of one export."""

    read: Callable[[], list[MetricSample]]
    _samples: list[MetricSample] = field(default_factory=list)
    _until: float = 0.0

    def of(self, wanted: MetricDefinition) -> list[MetricSample]:
        if time.monotonic() >= self._until:
            try:
                self._samples = self.read()
            except StemlineError as error:
                logger.info("The metrics cannot be read now: %s", error.message)
                self._samples = []
            self._until = time.monotonic() + ONE_LOOK_SECONDS
        return [sample for sample in self._samples if sample.metric is wanted]


def _observe(meter: Meter, look: _OneLook) -> None:
    for each in vars(metric).values():
        if not isinstance(each, MetricDefinition) or each.kind is MetricKind.HISTOGRAM:
            continue
        is_counter = each.kind is MetricKind.COUNTER
        create = meter.create_observable_counter if is_counter else meter.create_observable_gauge
        create(each.name, [_observer(each, look)], unit=each.unit, description=each.description)


def _observer(wanted: MetricDefinition, look: _OneLook) -> Callable[[CallbackOptions], Iterable[Observation]]:
    def observe(_: CallbackOptions) -> Iterable[Observation]:
        from opentelemetry.metrics import Observation  # noqa: PLC0415

        for sample in look.of(wanted):
            if not isinstance(sample.value, BucketCounts):
                yield Observation(sample.value, dict(sample.attributes))

    return observe


def _request_recorder(meter: Meter) -> Callable[[RequestOutcome], None]:
    each = metric.HTTP_CLIENT_DURATION
    histogram = meter.create_histogram(
        each.name, each.unit, each.description, explicit_bucket_boundaries_advisory=BOUNDS
    )
    return lambda outcome: histogram.record(outcome.seconds, outcome.attributes)
