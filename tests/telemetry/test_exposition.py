"""Metrics as Prometheus's own parser reads them, and names as OpenTelemetry's rules have them."""

from __future__ import annotations

import re

import pytest
from prometheus_client.parser import text_string_to_metric_families

from stemline.exposition import BucketCounts, MetricDefinition, MetricKind, MetricSample, expose
from stemline.telemetry import metric

DEFINED = [value for value in vars(metric).values() if isinstance(value, MetricDefinition)]
LATENCY = MetricDefinition("stemline.test.latency", MetricKind.HISTOGRAM, "s", "How long.")


def families(*samples):
    return {family.name: family for family in text_string_to_metric_families(expose(samples))}


def test_odd_letters_come_through():
    odd = 'a "quoted" \\ name\nof two lines'
    found = families(MetricSample(metric.TRACK_COUNT, 3, {"stemline.catalogue": odd}))

    [sample] = found["stemline_track_count"].samples
    assert sample.labels == {"stemline_catalogue": odd}
    assert sample.value == 3


def test_a_metric_with_several_values_is_described_once():
    text = expose(
        MetricSample(each, number, {"n": str(number)})
        for number in (1, 2)
        for each in (metric.RUN_AGE, metric.REQUEST_SENT)
    )

    assert text.count("# TYPE stemline_run_age_seconds gauge") == 1
    assert text.count("# TYPE stemline_request_sent_total counter") == 1
    assert 'stemline_request_sent_total{n="2"} 2' in text


def test_a_distribution_is_told_in_buckets_that_add_up():
    found = families(MetricSample(LATENCY, BucketCounts((0.5, 1.0), (2, 1, 4), 12.5)))

    samples = {
        (sample.name, sample.labels.get("le")): sample.value
        for sample in found["stemline_test_latency_seconds"].samples
    }
    assert samples == {
        ("stemline_test_latency_seconds_bucket", "0.5"): 2,
        ("stemline_test_latency_seconds_bucket", "1"): 3,
        ("stemline_test_latency_seconds_bucket", "+Inf"): 7,
        ("stemline_test_latency_seconds_sum", None): 12.5,
        ("stemline_test_latency_seconds_count", None): 7,
    }


@pytest.mark.parametrize("defined", DEFINED, ids=lambda each: each.name)
def test_names_follow_the_rules(defined):
    """https://opentelemetry.io/docs/specs/semconv/general/naming/ ."""
    assert re.fullmatch(r"(stemline|http)(\.[a-z][a-z0-9]*(_[a-z0-9]+)*)+", defined.name)
    assert not defined.name.endswith(("_total", "_seconds", ".total", "s"))
    assert defined.unit in {"s", "1"} or re.fullmatch(r"\{[a-z]+\}", defined.unit)
    assert defined.description.endswith(".")


def test_names_exist_once_for_prometheus_as_well():
    names = [defined.prometheus_name for defined in DEFINED]

    assert len(set(names)) == len(names)
