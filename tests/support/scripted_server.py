"""A real HTTP server that answers, refuses, hangs up, vanishes and comes back as told."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

HANG_UP = "hang up"


@dataclass
class ReceivedRequest:
    """A request as it came in."""

    method: str
    path: str
    headers: dict[str, str]
    body: bytes


@dataclass
class ScriptedServer:
    """A server: what it answers to each `METHOD /path`, in turn (the last answer again and again), and what came."""

    port: int = 0
    answers: dict[str, list] = field(default_factory=dict)
    outage_answer: tuple | str | None = None
    """What everybody is answered with while it lasts."""
    seen: list[ReceivedRequest] = field(default_factory=list)
    on_request: Callable[[ReceivedRequest], None] = lambda _: None
    _server: ThreadingHTTPServer | None = None
    _thread: threading.Thread | None = None

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def open(self) -> None:
        """Listen, on the same port as before."""
        self._server = ThreadingHTTPServer(
            ("127.0.0.1", self.port), type("Bound", (Handler,), {"vendor": self})
        )
        self._server.daemon_threads = True
        self.port = self._server.server_port
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.01})
        self._thread.start()

    def close(self) -> None:
        """Listen no more."""
        self._server.shutdown()
        self._thread.join(10)
        self._server.server_close()

    def paths(self) -> list[str]:
        return [f"{each.method} {each.path.partition('?')[0]}" for each in self.seen]

    def ticket(self, path: str = "/storage/1", content_type: str = "audio/x-odd") -> tuple:
        text = (
            f'{{"uploadUrl": "{self.url}{path}", "uploadKey": "key{path}", "contentType": "{content_type}"}}'
        )
        return (200, {}, text.encode())


class Handler(BaseHTTPRequestHandler):
    """The HTTP side."""

    protocol_version = "HTTP/1.1"
    vendor: ScriptedServer

    def _serve(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        headers = {name.lower(): value for name, value in self.headers.items()}
        vendor = self.vendor
        seen = ReceivedRequest(self.command, self.path, headers, body)
        vendor.seen.append(seen)
        told = vendor.outage_answer
        vendor.on_request(seen)
        if told is None:
            answers = vendor.answers[f"{self.command} {self.path.partition('?')[0]}"]
            told = answers.pop(0) if len(answers) > 1 else answers[0]
        if told == HANG_UP:
            self.close_connection = True
            return
        self._answer(*told)

    def _answer(self, status: int, extra: dict[str, str], content: bytes) -> None:
        self.send_response(status)
        for name, value in {"Content-Length": str(len(content)), **extra}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(content)

    def do_GET(self) -> None:
        self._serve()

    def do_POST(self) -> None:
        self._serve()

    def do_PUT(self) -> None:
        self._serve()

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@contextmanager
def serving() -> Iterator[ScriptedServer]:
    """Serve on a loopback port for the length of a `with` block."""
    vendor = ScriptedServer()
    vendor.open()
    try:
        yield vendor
    finally:
        vendor.close()
