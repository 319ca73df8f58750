"""What the conformance tests share: the local service in a process of its own, tiny songs, somebody to call back."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from http.server import BaseHTTPRequestHandler, SimpleHTTPRequestHandler, ThreadingHTTPServer
from itertools import count
from pathlib import Path
from queue import Queue

import httpx
import numpy as np
import pytest

from stemline.audio import encode
from stemline.service import ApiKey, Options
from stemline.service.process import Service, running_service

CREDITS = 1_000
VIDEO = "dQw4w9WgXcQ"
KEYS = 60
SAMPLE_RATE = 22_050
KINDS = ("wav", "flac", "mp3")
_numbers = count()


@dataclass(frozen=True)
class Call:
    """What a webhook's receiver was sent."""

    headers: dict[str, str]
    body: bytes


@dataclass
class Receiver:
    """Somebody who is called back."""

    url: str
    calls: Queue[Call] = field(default_factory=Queue)

    def next_call(self) -> Call:
        return self.calls.get(timeout=20)


def make_songs(folder: Path, count: int, seconds: float) -> list[Path]:
    """Make songs of so many seconds and a little more, no two alike, in turn as wav, flac and mp3."""
    noise, songs = np.random.default_rng(3), []
    for number in range(count):
        axis = np.arange(round((seconds + number % 3 * 0.4) * SAMPLE_RATE)) / SAMPLE_RATE
        pitch = 110 * 2 ** (number / 12)
        chord = sum(np.sin(2 * np.pi * pitch * factor * axis) for factor in (1, 1.5, 2))
        beat = noise.standard_normal(len(axis)) * (axis % 0.5 < 0.05)
        kind = KINDS[number % len(KINDS)]
        songs.append(folder / f"song-{number}.{kind}")
        encode(songs[-1], 0.15 * (chord + beat)[:, None], SAMPLE_RATE, kind)
    return songs


@pytest.fixture(scope="session")
def song(tmp_path_factory) -> Path:
    """A wav of two seconds: two credits."""
    return make_songs(tmp_path_factory.mktemp("music"), 1, 2)[0]


def options(folder: Path, song: Path, **changes) -> Options:
    """A service that copies instead of separating, with many keys of both vendors' looks and of none."""
    (folder / "videos.yaml").write_text(f"{VIDEO}: {{audio: {song}, title: Never, channel: Rick}}\n")
    names = [f"{prefix}_live_{number}" for prefix in ("sk", "ast") for number in range(KEYS)]
    names += [f"any_{number}" for number in range(KEYS)]
    keys = [ApiKey(name, CREDITS) for name in names]
    facts = {"requests_per_minute": 100_000, "workers": 2, "engine": "copy", "allow_private_sources": True}
    return Options(
        folder / "service",
        keys=(*keys, ApiKey("sk_live_poor", 1), ApiKey("ast_live_poor", 1)),
        videos=folder / "videos.yaml",
        **{**facts, **changes},
    )


@pytest.fixture(scope="session")
def service(tmp_path_factory, song) -> Iterator[Service]:
    with running_service(options(tmp_path_factory.mktemp("vendor"), song)) as service:
        yield service


@pytest.fixture(scope="session")
def lenient_service(tmp_path_factory, song) -> Iterator[Service]:
    """The service as StemSplit's Python package can read it."""
    folder = tmp_path_factory.mktemp("lenient")
    with running_service(options(folder, song, youtube_outputs_in_create=False, workers=1)) as service:
        yield service


@pytest.fixture
def fresh_key() -> Callable[[str], str]:
    """Give keys that nobody has used, `sk` or `ast`."""
    return lambda prefix: f"{prefix}_live_{next(_numbers) % KEYS}"


@pytest.fixture
def break_with(service) -> Iterator[Callable[..., None]]:
    """Put faults in force until the end of the test."""
    with httpx.Client(headers={"Authorization": "Bearer sk_live_poor"}, timeout=20) as client:
        where = f"{service.url}/_faults"

        def set_faults(*faults: dict) -> None:
            client.post(where, json={"faults": list(faults)}).raise_for_status()

        yield set_faults
        client.delete(where).raise_for_status()


@contextmanager
def _serving(handler) -> Iterator[str]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        thread.join(10)
        server.server_close()


class _Files(SimpleHTTPRequestHandler):
    def log_message(self, *_) -> None:
        return


@pytest.fixture(scope="session")
def song_url(song) -> Iterator[str]:
    """Where the song is fetched from."""
    with _serving(partial(_Files, directory=song.parent)) as url:
        yield f"{url}/{song.name}"


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    calls: Queue[Call] = Queue()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            calls.put(Call({name.lower(): value for name, value in self.headers.items()}, body))
            self.send_response(200)
            self.end_headers()

        def log_message(self, *_) -> None:
            return

    with _serving(Handler) as url:
        yield Receiver(url, calls)
