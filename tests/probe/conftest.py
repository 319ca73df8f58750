"""A folder of audio in every form, and a web server over it."""

from __future__ import annotations

import re
import threading
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
import soundfile
from probe_audio import RATE, encode, song, write_blocks


@pytest.fixture(scope="session")
def music(tmp_path_factory):
    """A folder with the same twelve seconds in every form."""
    folder = tmp_path_factory.mktemp("music")
    samples = song()
    for suffix in ("wav", "flac", "aiff", "mp3"):
        soundfile.write(folder / f"a.{suffix}", samples, RATE)
    write_blocks(folder / "a.ogg", samples, RATE, "VORBIS")
    write_blocks(folder / "a.opus", song(rate=48_000), 48_000, "OPUS")
    variable = {"flags": "+qscale", "global_quality": str(2 * 118)}
    encode(folder / "variable.mp3", samples, "libmp3lame", **variable)
    encode(folder / "bare.mp3", samples, "libmp3lame", **variable, mux_write_xing="0", mux_id3v2_version="0")
    for name, codec in (
        ("a.m4a", "aac"),
        ("a.aac", "aac"),
        ("a.mka", "aac"),
        ("alac.m4a", "alac"),
        ("a.wma", "wmav2"),
    ):
        encode(folder / name, samples, codec)
    encode(folder / "a.webm", song(rate=48_000), "libopus", 48_000)
    return folder


@dataclass
class Web:
    """A web server over a folder, and what it was asked."""

    url: str
    has_ranges: bool = True
    status: int = 200
    requests: list[str] = field(default_factory=list)
    sent_bytes: int = 0


@pytest.fixture
def web(music):
    """A server of the music folder; `has_ranges` and `status` steer its answers."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self):
            path = music / self.path.lstrip("/").partition("?")[0]
            served.requests.append(self.headers.get("Range", ""))
            body = path.read_bytes() if path.exists() else b"<!doctype html>"
            status = served.status if path.exists() else 404
            asked = re.match(r"bytes=(\d+)-(\d+)", self.headers.get("Range", ""))
            whole = len(body)
            if asked and served.has_ranges and status == 200:
                start, end = int(asked[1]), min(int(asked[2]) + 1, whole)
                status, body = 206, body[start:end]
            served.sent_bytes += len(body)
            self.send_response(status)
            if status == 206:
                self.send_header("Content-Range", f"bytes {start}-{end - 1}/{whole}")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_):
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    served = Web(f"http://127.0.0.1:{server.server_port}")
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield served
    server.shutdown()
    thread.join(10)
    server.server_close()
