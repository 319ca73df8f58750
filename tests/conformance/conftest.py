"""What the conformance tests share: the local service in a process of its own, tiny songs, somebody to call back."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from http.server import BaseHTTPRequestHandler, SimpleHTTPRequestHandler
from itertools import count
from pathlib import Path
from queue import Queue

import httpx
import pytest
import stemsplit_python as sdk
from conformance_service import Call, Receiver, make_songs, options, serving

from stemline_local.process import RunningService, running_service

_numbers = count()


@pytest.fixture(scope="session")
def song(tmp_path_factory) -> Path:
    """A wav of two seconds: two credits."""
    return make_songs(tmp_path_factory.mktemp("music"), 1, 2)[0]


@pytest.fixture(scope="session")
def service(tmp_path_factory, song) -> Iterator[RunningService]:
    with running_service(options(tmp_path_factory.mktemp("vendor"), song)) as service:
        yield service


@pytest.fixture(scope="session")
def lenient_service(tmp_path_factory, song) -> Iterator[RunningService]:
    """The service as StemSplit's Python package can read it."""
    folder = tmp_path_factory.mktemp("lenient")
    with running_service(options(folder, song, youtube_outputs_in_create=False, workers=1)) as service:
        yield service


@pytest.fixture
def fresh_key() -> Callable[[str], str]:
    """Give keys that nobody has used, `sk` or `ast`."""
    return lambda prefix: f"{prefix}_live_{next(_numbers)}"


@pytest.fixture
def break_with(service) -> Iterator[Callable[..., None]]:
    """Put faults in force until the end of the test."""
    with httpx.Client(headers={"Authorization": "Bearer sk_live_poor"}, timeout=20) as client:
        where = f"{service.url}/_faults"

        def set_faults(*faults: dict) -> None:
            client.post(where, json={"faults": list(faults)}).raise_for_status()

        yield set_faults
        client.delete(where).raise_for_status()


class _Files(SimpleHTTPRequestHandler):
    def log_message(self, *_) -> None:
        return


@pytest.fixture(scope="session")
def song_url(song) -> Iterator[str]:
    """Where the song is fetched from."""
    with serving(partial(_Files, directory=song.parent)) as url:
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

    with serving(Handler) as url:
        yield Receiver(url, calls)


@pytest.fixture
def connect(service, fresh_key):
    """Connect StemSplit's package to the service, each time with another key unless one is named."""
    clients = []

    def begin(**facts) -> sdk.StemSplit:
        wanted = {"api_key": fresh_key("sk"), "base_url": service.api_url, "max_retries": 0, **facts}
        clients.append(sdk.StemSplit(**wanted))
        return clients[-1]

    yield begin
    for each in clients:
        each.close()


@pytest.fixture
def client(connect) -> sdk.StemSplit:
    return connect()
