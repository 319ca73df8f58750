"""A busy host is asked again, and an answer compressed unasked is unpacked."""

from __future__ import annotations

import gzip
import io
import socket
import struct
import threading
from collections.abc import Callable, Iterator
from contextlib import suppress
from email.utils import format_datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import anyio
import numpy as np
import pytest
import soundfile

from stemline.clock import utc_now
from stemline.errors import AudioRejected, SourceAway
from stemline.manifest import ManifestSource
from stemline.plan.survey import survey_catalogue
from stemline.probe.probing import probe
from stemline.records import Code
from stemline.settings import load_facts
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
        threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
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


@pytest.mark.parametrize(
    ("status", "is_away"),
    [
        (429, True),
        (500, True),
        (502, True),
        (503, True),
        (504, True),
        (408, True),
        (403, False),
        (401, False),
        (410, False),
    ],
)
def test_a_host_in_trouble_is_no_bad_row(host, status, is_away):
    """rom1504/img2dataset#332: what may pass is asked again the next night, what will not is a reject."""
    host.status, host.refusals, host.retry_after = status, 1000, ""

    with pytest.raises(AudioRejected) as caught:
        probe(host.url)
    assert isinstance(caught.value, SourceAway) is is_away


AWAY: dict[str, Callable[[socket.socket], None]] = {
    "closes at once": lambda link: link.close(),
    "resets": lambda link: link.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0)),
    "half a body": lambda link: link.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 5000\r\n\r\n" + bytes(900)),
    "half a chunk": lambda link: link.sendall(
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n400\r\n" + bytes(900)
    ),
    "no HTTP": lambda link: link.sendall(b"SSH-2.0-OpenSSH_9.6\r\n"),
    "half a header": lambda link: link.sendall(b"HTTP/1.1 200 O"),
}


@pytest.mark.parametrize("scheme", ["http", "https"])
@pytest.mark.parametrize("case", AWAY)
def test_a_transfer_that_breaks_off_is_no_bad_file(case, scheme):
    """Arelle/Arelle#2589: a connection that ends early says nothing of the file."""
    with socket.create_server(("127.0.0.1", 0)) as server:

        def answer() -> None:
            with suppress(OSError), server.accept()[0] as link:
                link.recv(4096)
                AWAY[case](link)

        thread = threading.Thread(target=answer)
        thread.start()
        with pytest.raises(SourceAway):
            probe(f"{scheme}://127.0.0.1:{server.getsockname()[1]}/a.wav")
        thread.join()


@pytest.mark.parametrize("url", ["http://127.0.0.1:1/a.wav", "http://nobody.invalid/a.wav"])
def test_nobody_there_is_no_bad_row(url):
    """rom1504/img2dataset#332: a name that does not resolve today may tomorrow."""
    with pytest.raises(SourceAway):
        probe(url)


def test_a_busy_host_makes_a_track_that_failed_and_is_asked_again(host, tmp_path):
    """rom1504/img2dataset#332: the good rows go on, and the row is in one state with a sentence."""
    host.status, host.refusals, host.retry_after = 503, 1, ""
    (tmp_path / "m.csv").write_text(f"url,track_id\n{host.url},a\n")
    facts = load_facts("stemsplit").model_copy(update={"min_duration_seconds": 0.5})

    (first,) = survey_catalogue(ManifestSource(str(tmp_path / "m.csv")), facts, lambda _: ())
    (second,) = survey_catalogue(ManifestSource(str(tmp_path / "m.csv")), facts, lambda _: ())

    assert (first.rejects, second.rejects, dict(second.away)) == ((), (), {})
    assert list(first.away) == ["a"]
    assert "503" in first.away["a"]
    assert first.away["a"].endswith("The next run asks again.")
    assert second.tracks[0].duration_seconds == 1


def test_the_local_service_keeps_the_audio_and_not_its_compression(host, tmp_path):
    """fsspec/filesystem_spec#1319: servers compress although identity was asked for."""
    host.refusals, host.encoding = 0, "gzip"
    downloader = SourceDownloader(FileStorage(tmp_path), lambda _: True)

    anyio.run(downloader.download, host.url, "sources/a.wav")

    assert (tmp_path / "sources/a.wav").read_bytes() == WAV.getvalue()
    assert probe(host.url).duration_seconds == 1
