"""A storage server on loopback that does as the test asks: serve audio with Range, break off, refuse."""

from __future__ import annotations

import re
import threading
from collections import defaultdict
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import numpy as np
import pytest

from stemline.audio import encode
from stemline.records import Attempt, Job, Output, Phase, ReadyTrack, Recipe, Track
from stemline_local.songs import make_song

RATE = 22050
SECONDS = 2.0


@dataclass
class Storage:
    """Files by path, faults by path (one per request, then all is well), and the requests that came."""

    url: str = ""
    files: dict[str, bytes] = field(default_factory=dict)
    faults: dict[str, list[tuple]] = field(default_factory=lambda: defaultdict(list))
    requests: list[tuple[str, dict[str, str]]] = field(default_factory=list)
    lock: threading.Lock = field(default_factory=threading.Lock)
    stalled: threading.Event = field(default_factory=threading.Event)
    going_on: threading.Event = field(default_factory=threading.Event)

    def ranges(self, path):
        """The Range headers that came for a path."""
        return [headers.get("range") for asked, headers in self.requests if asked == path]


class Handler(BaseHTTPRequestHandler):
    """Answers from the server's Storage."""

    protocol_version = "HTTP/1.1"

    def do_GET(self):
        storage = self.server.storage
        with storage.lock:
            storage.requests.append(
                (self.path, {name.lower(): value for name, value in self.headers.items()})
            )
            queue = storage.faults[self.path]
            fault, *details = queue.pop(0) if queue else ("none",)
        getattr(self, f"_{fault}")(storage.files.get(self.path), *details)

    def log_message(self, *_):
        pass

    def _none(self, data):
        self._cut(data, None)

    def _cut(self, data, sent_bytes):
        """Send so many bytes of the body and hang up; None: all of them."""
        if data is None:
            return self._status(data, 404)
        found = re.fullmatch(r"bytes=(\d+)-", self.headers.get("Range", ""))
        start = int(found[1]) if found else 0
        if found and start >= len(data):
            return self._status(data, 416)
        self.send_response(206 if found else 200)
        if found:
            self.send_header("Content-Range", f"bytes {start}-{len(data) - 1}/{len(data)}")
        self.send_header("Content-Length", str(len(data) - start))
        self.end_headers()
        self.wfile.write(data[start:] if sent_bytes is None else data[start : start + sent_bytes])
        self.close_connection = sent_bytes is not None
        return None

    def _whole(self, data):
        """Ignore the Range."""
        del self.headers["Range"]
        self._cut(data, None)

    def _other_part(self, data):
        self.send_response(206)
        self.send_header("Content-Range", f"bytes {len(data) - 1}-{len(data) - 1}/{len(data)}")
        self.send_header("Content-Length", "1")
        self.end_headers()
        self.wfile.write(data[-1:])

    def _status(self, _, status, headers=()):
        body = b"<html>no</html>"
        self.send_response(status)
        for name, value in headers:
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def _stall(self, data, sent_bytes):
        """Send so many bytes of the body and wait for the test to go on."""
        self.send_response(200)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data[:sent_bytes])
        self.server.storage.stalled.set()
        self.server.storage.going_on.wait(30)
        self.close_connection = True

    def _short(self, data):
        """A truncated file that claims to be whole."""
        self._cut(data[: len(data) // 3], None)

    def _unsized(self, data):
        """Not say how long the file is."""
        self.send_response(200)
        self.send_header("Connection", "close")
        self.end_headers()
        self.wfile.write(data)
        self.close_connection = True

    def _page(self, _):
        self._status(_, 200, [("Content-Type", "text/html; charset=utf-8")])

    def _hang_up(self, _):
        self.close_connection = True


class Server(ThreadingHTTPServer):
    """Says nothing about clients that hang up, which some tests are about."""

    def handle_error(self, request, client_address):
        pass


@pytest.fixture
def storage():
    server = Server(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    server.storage = Storage(f"http://127.0.0.1:{server.server_port}")
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield server.storage
    server.storage.going_on.set()
    server.shutdown()
    thread.join(10)
    server.server_close()


@pytest.fixture(scope="session")
def audio(tmp_path_factory):
    """Encoded stems by (name, format)."""
    folder = tmp_path_factory.mktemp("audio")
    time = np.arange(int(SECONDS * RATE)) / RATE
    sounds = {
        "vocals": 0.4 * np.sin(time * 2764)[:, None],
        "instrumental": np.random.default_rng(3).uniform(-0.3, 0.3, (len(time), 1)),
        "silence": np.zeros((len(time), 1)),
    }
    made = {}
    for name, samples in sounds.items():
        for audio_format in ("flac", "mp3"):
            encode(folder / f"{name}.{audio_format}", samples, RATE, audio_format)
            made[name, audio_format] = (folder / f"{name}.{audio_format}").read_bytes()
    return made


@dataclass
class Sung:
    """A song on the server's terms: encoded stems, and the truth."""

    files: dict[str, bytes]
    source: bytes
    stranger: bytes
    """The instrumental of another song."""
    bpm: float
    key: str
    seconds: float


@pytest.fixture(scope="session")
def song(tmp_path_factory):
    """A song whose tempo and key are known."""
    path = tmp_path_factory.mktemp("song") / "stem.flac"
    made = make_song(1, bpm=112.0, key="Am", seconds=20.0)
    other = make_song(2, bpm=90.0, key="D", seconds=20.0)

    def flac(samples):
        encode(path, samples, made.sample_rate, "flac")
        return path.read_bytes()

    vocals = made.stems["vocals"]
    files = {"vocals": flac(vocals), "instrumental": flac(made.mix - vocals)}
    stranger = flac(other.mix - other.stems["vocals"])
    return Sung(files, flac(made.mix), stranger, made.bpm, made.key, 20.0)


@pytest.fixture
def ready(storage, audio):
    """Puts a track's stems on the server and gives it as a dispatcher would hand it over."""

    def ready(track_id="song", audio_format="flac", columns=None, **job):
        recipe = Recipe("both", "best", audio_format)
        track = Track(track_id, f"/music/{track_id}.flac", 1, duration_seconds=SECONDS, columns=columns or {})
        outputs = []
        for stem in recipe.stem_names:
            path = f"/{track_id}/{stem}"
            storage.files[path] = audio[stem, audio_format]
            outputs.append(Output(stem, f"{storage.url}{path}"))
        given = {"outputs": tuple(outputs), "bpm": 120.0, "key": "Am", **job}
        attempt = Attempt(f"token-{track_id}", track, recipe, "local", 1, 2, job_id=f"job-{track_id}")
        return ReadyTrack(attempt, Job(f"job-{track_id}", Phase.DONE, **given))

    return ready
