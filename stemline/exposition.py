"""What a metric is, by OpenTelemetry's naming rules, and metrics as the text that Prometheus reads.

Names: https://opentelemetry.io/docs/specs/semconv/general/naming/ (dots between namespaces, no plurals, units beside
the name). As Prometheus has them: https://opentelemetry.io/docs/specs/otel/compatibility/prometheus_and_openmetrics/
Text: https://prometheus.io/docs/instrumenting/exposition_formats/#text-based-format
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from itertools import groupby

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
_UNITS = {"s": "_seconds", "1": "_ratio"}
"""By UCUM's sign; what stands in braces, such as {track}, is no unit."""


class MetricKind(StrEnum):
    """How the values of a metric are to be read, in Prometheus's words."""

    GAUGE = "gauge"
    COUNTER = "counter"
    HISTOGRAM = "histogram"


@dataclass(frozen=True, slots=True)
class MetricDefinition:
    """One metric."""

    name: str
    kind: MetricKind
    unit: str
    description: str

    @property
    def prometheus_name(self) -> str:
        """The name that Prometheus knows it under."""
        unit = _UNITS.get(self.unit, "")
        total = "_total" if self.kind is MetricKind.COUNTER else ""
        return self.name.replace(".", "_") + unit + total


@dataclass(frozen=True, slots=True)
class BucketCounts:
    """How many values fell up to each bound, all in all, and their sum."""

    bounds: tuple[float, ...]
    counts: tuple[int, ...]
    """One for each bound, and one for what lies above the last: none is in two."""
    total: float


@dataclass(frozen=True, slots=True)
class MetricSample:
    """One value of a metric, with what tells it from the metric's others."""

    metric: MetricDefinition
    value: float | BucketCounts
    attributes: Mapping[str, str] = field(default_factory=dict)


def expose(samples: Iterable[MetricSample]) -> str:
    """Give the text for Prometheus, every metric with all of its values in one place."""
    lines: list[str] = []
    by_name = sorted(samples, key=lambda sample: sample.metric.name)
    for metric, own in groupby(by_name, key=lambda sample: sample.metric):
        name = metric.prometheus_name
        lines += [f"# HELP {name} {_escaped(metric.description)}", f"# TYPE {name} {metric.kind}"]
        for sample in own:
            lines += _lines(name, sample)
    return "".join(f"{line}\n" for line in lines)


def _lines(name: str, sample: MetricSample) -> Iterator[str]:
    labels = {key.replace(".", "_"): value for key, value in sample.attributes.items()}
    if not isinstance(sample.value, BucketCounts):
        yield f"{name}{_labels(labels)} {_number(sample.value)}"
        return
    reached = 0
    for bound, count in zip((*sample.value.bounds, float("inf")), sample.value.counts, strict=True):
        reached += count
        yield f"{name}_bucket{_labels({**labels, 'le': _number(bound)})} {reached}"
    yield f"{name}_sum{_labels(labels)} {_number(sample.value.total)}"
    yield f"{name}_count{_labels(labels)} {reached}"


def _labels(labels: Mapping[str, str]) -> str:
    if not labels:
        return ""
    told = ",".join(f'{name}="{_escaped(value, quote=True)}"' for name, value in labels.items())
    return "{" + told + "}"


def _escaped(text: str, *, quote: bool = False) -> str:
    text = text.replace("\\", r"\\").replace("\n", r"\n")
    return text.replace('"', r"\"") if quote else text


def _number(value: float) -> str:
    if value == float("inf"):
        return "+Inf"
    return str(int(value)) if float(value).is_integer() else repr(float(value))
