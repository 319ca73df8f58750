"""Fetching a source URL, from a real server on loopback."""

from __future__ import annotations

import asyncio
import ipaddress
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

import pytest

from stemline_local.files.file_storage import MAX_FILE_BYTES, FileStorage
from stemline_local.files.outbound import IpAddress, is_public
from stemline_local.files.source_download import SourceDownloader
from stemline_local.refusal import Refusal, RefusalReason


class Site(BaseHTTPRequestHandler):
    """Answers by path: a song, redirects, and ways to misbehave."""

    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        status, headers, body = self.server.pages[self.path]
        self.send_response(status)
        for name, value in ({"Content-Length": str(len(body))} | headers).items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)
        self.close_connection = True

    def log_message(self, *_: object) -> None:
        return


@pytest.fixture
def site() -> Iterator[ThreadingHTTPServer]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), Site)
    port = server.server_port
    server.url = f"http://127.0.0.1:{port}"
    server.pages = {
        "/song.mp3": (200, {}, b"song"),
        "/moved": (302, {"Location": "/song.mp3"}, b""),
        "/elsewhere": (302, {"Location": f"http://127.0.0.2:{port}/song.mp3"}, b""),
        "/local-file": (301, {"Location": "file:///etc/passwd"}, b""),
        "/nonsense": (302, {"Location": "http://[not-an-address/"}, b""),
        "/loop": (302, {"Location": "/loop"}, b""),
        "/missing": (404, {}, b"no"),
        "/huge": (200, {"Content-Length": str(MAX_FILE_BYTES + 1)}, b""),
        "/cut-short": (200, {"Content-Length": "100"}, b"song"),
    }
    Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}).start()
    yield server
    server.shutdown()
    server.server_close()


@pytest.fixture
def storage(tmp_path: Path) -> FileStorage:
    return FileStorage(tmp_path)


def fetch(storage: FileStorage, url: str, allowed: Callable[[IpAddress], bool] = lambda _: True) -> int:
    return asyncio.run(SourceDownloader(storage, allowed).download(url, "sources/c1/input.mp3"))


@pytest.mark.parametrize("path", ["/song.mp3", "/moved"])
def test_a_source_is_stored(site: ThreadingHTTPServer, storage: FileStorage, path: str) -> None:
    assert fetch(storage, site.url + path) == 4
    assert storage.path("sources/c1/input.mp3").read_bytes() == b"song"


@pytest.mark.parametrize(
    ("path", "reason"),
    [
        ("/loop", RefusalReason.SOURCE_UNREACHABLE),
        ("/missing", RefusalReason.SOURCE_UNREACHABLE),
        ("/cut-short", RefusalReason.SOURCE_UNREACHABLE),
        ("/huge", RefusalReason.FILE_TOO_LARGE),
        ("/local-file", RefusalReason.SOURCE_REFUSED),
        ("/nonsense", RefusalReason.SOURCE_REFUSED),
    ],
)
def test_a_source_that_misbehaves_is_refused(
    site: ThreadingHTTPServer, storage: FileStorage, path: str, reason: RefusalReason
) -> None:
    with pytest.raises(Refusal) as refusal:
        fetch(storage, site.url + path)

    assert refusal.value.reason is reason
    assert not storage.path("sources/c1/input.mp3").exists()


def test_a_redirect_is_checked_like_the_first_address(
    site: ThreadingHTTPServer, storage: FileStorage
) -> None:
    only_first = ipaddress.ip_address("127.0.0.1").__eq__

    with pytest.raises(Refusal) as refusal:
        fetch(storage, site.url + "/elsewhere", only_first)

    assert refusal.value.reason is RefusalReason.SOURCE_REFUSED


@pytest.mark.parametrize(
    "url",
    [
        "http://127.0.0.1/song.mp3",
        "http://localhost/song.mp3",
        "http://2130706433/song.mp3",
        "http://0/song.mp3",
        "http://[::1]/song.mp3",
        "http://[::ffff:127.0.0.1]/song.mp3",
        "http://169.254.169.254/latest/meta-data/",
        "http://10.1.2.3/song.mp3",
        "http://192.168.0.9/song.mp3",
        "http://[fe80::1]/song.mp3",
        "http://224.0.0.1/song.mp3",
        "ftp://example.com/song.mp3",
        "file:///etc/passwd",
        "song.mp3",
        "http://",
        "",
    ],
)
def test_a_private_or_strange_url_is_refused_unasked(storage: FileStorage, url: str) -> None:
    with pytest.raises(Refusal) as refusal:
        fetch(storage, url, is_public)

    assert refusal.value.reason is RefusalReason.SOURCE_REFUSED


@pytest.mark.parametrize("addresses", [("8.8.8.8", "10.0.0.1"), ("10.0.0.1", "8.8.8.8"), ("::1", "2600::1")])
def test_a_host_with_one_private_address_is_refused(storage: FileStorage, addresses: tuple[str, ...]) -> None:
    with pytest.raises(Refusal):
        SourceDownloader(storage).policy.check(map(ipaddress.ip_address, addresses))


def test_a_host_with_public_addresses_is_let_through(storage: FileStorage) -> None:
    SourceDownloader(storage).policy.check(map(ipaddress.ip_address, ("8.8.8.8", "2600::1")))


@pytest.mark.parametrize("host", ["nobody.invalid", "[not-an-address", "a" * 300, "..", "%00"])
def test_a_host_nobody_knows_is_refused(storage: FileStorage, host: str) -> None:
    with pytest.raises(Refusal) as refusal:
        fetch(storage, f"http://{host}/song.mp3")

    assert refusal.value.reason in (RefusalReason.SOURCE_UNREACHABLE, RefusalReason.SOURCE_REFUSED)


def test_a_host_that_does_not_listen_is_unreachable(site: ThreadingHTTPServer, storage: FileStorage) -> None:
    with pytest.raises(Refusal) as refusal:
        fetch(storage, site.url.replace("127.0.0.1", "127.0.0.3") + "/song.mp3")

    assert refusal.value.reason is RefusalReason.SOURCE_UNREACHABLE
