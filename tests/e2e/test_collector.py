"""What a real run sends to an OpenTelemetry collector, decoded with the protocol's own definitions."""

from __future__ import annotations

import pytest
from support.otlp_collector import attributes_of, running_collector
from support.prefect_server import prefect_environment

TRACE, PARENT = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"


@pytest.fixture
def collector():
    with running_collector() as started:
        yield started


def run(project, collector, **env):
    result = project.stemline("run", project.config, "--json", **collector.environment, **env)
    assert result.code == 0, result.err
    return result.tree


def values(metric):
    """Give a metric's values by what tells them apart."""
    points = (metric.gauge if metric.HasField("gauge") else metric.sum).data_points
    found = {}
    for point in points:
        told = attributes_of(point.attributes)
        own = tuple(value for name, value in told.items() if not name.endswith((".catalogue", ".provider")))
        found[own] = point.as_int or point.as_double
    return found


@pytest.mark.long
def test_a_run_sends_the_numbers_of_its_result(project, collector):
    tree = run(project.prepare(3, budget={"day": 500}), collector)

    metrics = collector.last_metrics()
    assert values(metrics["stemline.track.count"]) == {("published",): 3}
    assert values(metrics["stemline.request.sent"])[()] == tree["requests"]["sent"]
    assert values(metrics["stemline.credit.charged"])["run",] == tree["credits"]["charged"]
    assert values(metrics["stemline.credit.limit"]) == {("day",): 500}
    assert values(metrics["stemline.credit.uncollected"]) == {(): 0}
    assert metrics["stemline.run.age"].unit == "s"
    assert {each["service.name"] for each in collector.resources} == {"stemline"}


@pytest.mark.long
def test_requests_are_told_by_template_and_outcome_and_by_nothing_that_grows(project, collector):
    tree = run(project.prepare(3), collector)

    points = collector.last_metrics()["http.client.request.duration"].histogram.data_points
    found = [(attributes_of(point.attributes), point.count) for point in points]
    templates = {told["url.template"] for told, _ in found}
    assert templates == {"/balance", "/upload", "{upload_url}", "/jobs", "/jobs/{id}"}
    asked = sum(count for told, count in found if told["url.template"] != "{upload_url}")
    assert asked == tree["requests"]["sent"]
    assert all(told["http.response.status_code"] in {"200", "201"} for told, _ in found)


@pytest.mark.long
def test_a_run_and_its_batches_are_spans_below_the_trace_of_the_environment(project, collector):
    tree = run(
        project.prepare(4, execution={"batch_tracks": 2}),
        collector,
        TRACEPARENT=f"00-{TRACE}-{PARENT}-01",
    )

    [whole] = collector.named("stemline.run")
    batches = collector.named("stemline.batch")
    assert whole.trace_id.hex() == TRACE
    assert whole.parent_span_id.hex() == PARENT
    assert {batch.parent_span_id for batch in batches} == {whole.span_id}
    assert len(collector.spans) == 1 + len(batches)
    told = attributes_of(whole.attributes)
    assert told["stemline.run.id"] == tree["run_id"]
    assert told["stemline.run.exit_code"] == 0
    assert sum(attributes_of(batch.attributes)["stemline.batch.published"] for batch in batches) == 4
    assert all(whole.start_time_unix_nano <= batch.start_time_unix_nano for batch in batches)


def test_a_run_that_an_error_cuts_off_is_a_span_that_failed_and_tells_no_secret(project, collector):
    key = "sk_live_" + "nobody_has_it"
    refused = project.prepare(1).stemline(
        "run", project.config, "--json", **collector.environment, STEM_KEY=key
    )

    assert refused.code == 5
    [whole] = collector.named("stemline.run")
    assert attributes_of(whole.attributes)["stemline.run.exit_code"] == 5
    assert key not in str(collector.spans)


@pytest.mark.long
def test_a_collector_that_is_away_ends_nothing(project, free_port):
    project.prepare(1)
    away = {"OTEL_EXPORTER_OTLP_ENDPOINT": f"http://127.0.0.1:{free_port}"}
    result = project.stemline("run", project.config, "--json", **away)

    assert result.code == 0, result.err
    assert result.tree["tracks"] == {"published": 1}


@pytest.mark.long
def test_under_prefect_a_run_belongs_below_its_flow_run(project, collector, prefect_api):
    run(project.prepare(2), collector, **prefect_environment(project, prefect_api))

    by_id = {span.span_id: span for span in collector.spans}
    [whole] = collector.named("stemline.run")
    above = by_id[whole.parent_span_id]
    assert attributes_of(above.attributes)["prefect.run.type"] == "flow"
    [batch] = collector.named("stemline.batch")[:1]
    assert batch.trace_id == whole.trace_id
