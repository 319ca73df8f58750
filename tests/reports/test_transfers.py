"""A busy host is asked again, and an answer compressed unasked is unpacked."""

from __future__ import annotations

import gzip
import io
import threading
from collections.abc import Iterator
from email.utils import format_datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import anyio
import numpy as np
import pytest
import soundfile

from stemline.clock import utc_now
from stemline.errors import AudioRejected
from stemline.probe.probing import probe
from stemline.records import Code
from stemline_local.files.file_storage import FileStorage
from stemline_local.files.source_download import SourceDownloader

WAV = io.BytesIO()
soundfile.write(WAV, np.zeros((44_100, 2)), 44_100, format="WAV")


@pytest.fixture
def host() -> Iterator[type[BaseHTTPRequestHandler]]:
    """A host that refuses as often as `refusals` says, in its way."""

    class Host(BaseHTTPRequestHandler):
        url, status, retry_after, refusals, asked, encoding = "", 503, "0", 1, 0, ""

        def do_GET(self) -> None:
            Host.asked += 1
            body = gzip.compress(WAV.getvalue()) if Host.encoding else WAV.getvalue()
            is_busy = Host.asked <= Host.refusals
            self.send_response(Host.status if is_busy else 200)
            if is_busy and Host.retry_after:
                self.send_header("Retry-After", Host.retry_after)
            if Host.encoding:
                self.send_header("Content-Encoding", Host.encoding)
            self.send_header("Content-Length", "0" if is_busy else str(len(body)))
            self.end_headers()
            self.wfile.write(b"" if is_busy else body)

        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Host) as server:
        Host.url = f"http://127.0.0.1:{server.server_port}/a.wav"
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield Host
        server.shutdown()


@pytest.mark.parametrize(
    "retry_after", ["0", " 0 ", format_datetime(utc_now(), usegmt=True)], ids=["zero", "padded", "date"]
)
@pytest.mark.parametrize("refusals", [1, 3])
@pytest.mark.parametrize("status", [429, 503])
def test_a_busy_host_is_asked_again(host, status, refusals, retry_after):
    """rom1504/img2dataset#332, Arelle/Arelle#2589: a second's rest is not a bad row."""
    host.status, host.refusals, host.retry_after = status, refusals, retry_after

    assert probe(host.url).duration_seconds == 1
    assert host.asked == refusals + 1


@pytest.mark.parametrize("retry_after", ["", "soon", "-1", "86400"])
def test_a_host_that_does_not_say_when_or_too_late_is_asked_once(host, retry_after):
    """rom1504/img2dataset#332: a run does not wait for a day."""
    host.retry_after = retry_after

    with pytest.raises(AudioRejected) as caught:
        probe(host.url)
    assert (caught.value.code, host.asked) == (Code.SOURCE_UNREACHABLE, 1)


def test_a_host_that_stays_busy_is_given_up(host):
    """Arelle/Arelle#2589: retries are bounded."""
    host.refusals = 1000

    with pytest.raises(AudioRejected, match="503"):
        probe(host.url)
    assert host.asked == 4


def test_the_local_service_keeps_the_audio_and_not_its_compression(host, tmp_path):
    """fsspec/filesystem_spec#1319: servers compress although identity was asked for."""
    host.refusals, host.encoding = 0, "gzip"
    downloader = SourceDownloader(FileStorage(tmp_path), lambda _: True)

    anyio.run(downloader.download, host.url, "sources/a.wav")

    assert (tmp_path / "sources/a.wav").read_bytes() == WAV.getvalue()
    assert probe(host.url).duration_seconds == 1
