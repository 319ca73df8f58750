"""When metrics and traces are sent, and what is said where they cannot be."""

from __future__ import annotations

import socket
import subprocess
import sys
import time

import pytest
from support.command_line import clean_environment

from stemline.telemetry import collector_export
from stemline.telemetry.collector_export import is_wanted

SPAN = """
from stemline.telemetry import collector_export
collector_export.CLOSE_MILLISECONDS = 200
with collector_export.exporting_to_collector(list), collector_export.traced("stemline.run", {}):
    print("running", flush=True)
collector_export.flush_traces()
"""
PATIENCE = 60
"""What the SDK waits for one answer, in seconds."""

ENDPOINT = {"OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:4318"}


@pytest.fixture(autouse=True)
def _said_anew():
    yield
    collector_export._is_installed.cache_clear()
    collector_export._is_spoken.cache_clear()


@pytest.mark.parametrize(
    ("environment", "is_sent"),
    [
        ({}, False),
        (ENDPOINT, True),
        ({"OTEL_EXPORTER_OTLP_METRICS_ENDPOINT": "http://127.0.0.1:4318/v1/metrics"}, True),
        ({"OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": "http://127.0.0.1:4318/v1/traces"}, False),
        ({**ENDPOINT, "OTEL_SDK_DISABLED": "true"}, False),
        ({**ENDPOINT, "OTEL_METRICS_EXPORTER": "none"}, False),
        ({**ENDPOINT, "OTEL_EXPORTER_OTLP_PROTOCOL": "grpc"}, False),
    ],
)
def test_metrics_are_sent_where_the_standard_variables_say(environment, is_sent):
    assert is_wanted("METRICS", environment) is is_sent


def test_without_the_extra_one_sentence_says_how_to_get_it(monkeypatch, caplog):
    collector_export._is_installed.cache_clear()
    monkeypatch.setitem(sys.modules, "opentelemetry.exporter.otlp.proto.http", None)

    assert not is_wanted("METRICS", ENDPOINT)
    assert not is_wanted("TRACES", ENDPOINT)

    [record] = caplog.records
    assert record.getMessage() == (
        "OTEL_EXPORTER_OTLP_ENDPOINT is set and OpenTelemetry's SDK is not installed: nothing is sent. "
        "Fix: pip install 'stemline[otel]'."
    )


def test_a_collector_that_says_nothing_is_not_waited_for_longer_than_is_said(tmp_path):
    with socket.create_server(("127.0.0.1", 0)) as silent:
        environment = {
            **clean_environment(tmp_path),
            "OTEL_EXPORTER_OTLP_ENDPOINT": f"http://127.0.0.1:{silent.getsockname()[1]}",
            "OTEL_EXPORTER_OTLP_TIMEOUT": str(PATIENCE),
        }
        with subprocess.Popen(
            [sys.executable, "-c", SPAN], env=environment, stdout=subprocess.PIPE
        ) as process:
            assert process.stdout.readline() == b"running\n"
            began = time.monotonic()
            assert process.wait(3 * PATIENCE) == 0
    assert time.monotonic() - began < PATIENCE / 2
