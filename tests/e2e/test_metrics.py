"""`GET /metrics` of real commands, as Prometheus's own parser reads it."""

from __future__ import annotations

import socket

import pytest
from prometheus_client.parser import text_string_to_metric_families


def scrape(http, address, **headers):
    """Give every value by its name and what tells it apart."""
    answer = http.get(f"http://{address}/metrics", headers=headers).raise_for_status()
    return {
        (sample.name, *(value for name, value in sample.labels.items() if name not in COMMON)): sample.value
        for family in text_string_to_metric_families(answer.text)
        for sample in family.samples
    }


COMMON = {"stemline_catalogue", "stemline_provider"}


@pytest.fixture
def address(free_port):
    return f"127.0.0.1:{free_port}"


@pytest.fixture
def listening(project, address):
    """A catalogue of two, and `stemline listen` beside it."""
    webhooks = {"public_url": f"http://{address}", "listen": address}
    project.prepare(2, webhooks=webhooks, budget={"day": 500})
    child = project.start("listen", project.config)
    assert child.until(lambda: "Listening at" in child.notes())
    yield child
    child.kill()


@pytest.mark.usefixtures("listening")
@pytest.mark.long
def test_listen_tells_of_a_run_elsewhere_from_the_ledger_alone(project, http, address):
    assert scrape(http, address) == {}
    result = project.stemline("run", project.config, "--json")
    assert result.code == 0, result.err

    found = scrape(http, address)

    assert found["stemline_track_count", "published"] == 2
    assert found["stemline_credit_uncollected",] == found["stemline_track_in_flight",] == 0
    assert found["stemline_credit_charged", "day"] == result.tree["credits"]["charged"]
    assert found["stemline_credit_limit", "day"] == 500
    assert found["stemline_credit_drift",] == 0
    assert found["stemline_request_sent_total",] == result.tree["requests"]["sent"]
    assert found["stemline_run_active",] == found["stemline_run_exit_code",] == 0


@pytest.mark.usefixtures("listening")
def test_who_comes_through_a_proxy_is_told_nothing(http, address):
    answer = http.get(f"http://{address}/metrics", headers={"X-Forwarded-For": "192.0.2.1"})

    assert (answer.status_code, answer.text) == (404, "")


@pytest.fixture
def stuck(project, break_with, address):
    """A run of two tracks that the provider does not finish, with its metrics at an address."""
    break_with({"fault": "job_stuck"})
    project.prepare(2)
    running = project.start("run", project.config, "--json", "--metrics", address)
    assert running.until(lambda: project.has_happened("record_submission", 2))
    yield running
    running.kill()


def test_a_run_tells_of_itself_while_it_goes_on(stuck, http, address):
    found = scrape(http, address)

    assert not stuck.is_over()
    assert found["stemline_track_count", "processing"] == found["stemline_track_in_flight",] == 2
    assert found["stemline_run_active",] == 1
    assert found["stemline_credit_reserved", "run"] > 0
    counts = {name: value for name, value in found.items() if name[0].endswith("_duration_seconds_count")}
    paid = [value for name, value in counts.items() if "/jobs" in name and "POST" in name and "201" in name]
    assert paid == [2]


@pytest.mark.usefixtures("stand_in")
def test_an_address_that_is_taken_is_told_before_anything_is_paid(project, address):
    project.prepare(1)
    refused = project.stemline("run", project.config, "--json", "--metrics", address)

    assert refused.code == 2
    assert f"telemetry.metrics is {address}, which cannot be listened on" in refused.tree["error"]["message"]
    assert project.provider.charged == 0


@pytest.fixture
def stand_in(free_port):
    """Somebody who listens there already."""
    with socket.create_server(("127.0.0.1", free_port)) as listener:
        yield listener
