"""StemSplit's webhook endpoints on a real server."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

WAIT_SECONDS = 30


class HookVendor:
    """StemSplit's three webhook endpoints, and every request they were sent: one account, whichever key is used."""

    def __init__(self, name: str = "") -> None:
        self.name = name
        self.hooks: dict[str, dict[str, Any]] = {}
        self.secrets: dict[str, str] = {}
        self.requests: list[tuple[str, str]] = []
        self.refusal: tuple[int, dict[str, Any]] | None = None
        self.url = ""
        self.turn = threading.Condition()

    def add(self, url: str, **changes: Any) -> str:
        hook_id = f"whk_{self.name}{len(self.secrets) + 1}"
        self.secrets[hook_id] = f"whsec_of_{hook_id}"
        self.hooks[hook_id] = {
            "id": hook_id,
            "url": url,
            "events": ["job.completed", "job.failed"],
            "isActive": True,
            "failCount": 0,
            **changes,
        }
        return hook_id

    def answer(self, method: str, path: str, body: dict[str, Any]) -> tuple[int, dict[str, Any]]:
        self.requests.append((method, path))
        if self.refusal is not None and method != "GET":
            return self.refusal
        if method == "GET":
            return 200, {"webhooks": list(self.hooks.values())}
        if method == "POST":
            hook_id = self.add(body["url"], events=body["events"])
            return 201, {**self.hooks[hook_id], "secret": self.secrets[hook_id]}
        if self.hooks.pop(path.rpartition("/")[2], None) is None:
            return 404, {"error": {"code": "NOT_FOUND", "message": "no such webhook"}}
        return 200, {"deleted": True}

    def asked(self, method: str) -> int:
        return [made for made, _ in self.requests].count(method)

    def wait_for(self, is_so: Callable[[], bool]) -> None:
        """Wait until the requests that came make something so."""
        with self.turn:
            assert self.turn.wait_for(is_so, WAIT_SECONDS)


@contextmanager
def serving_hooks(name: str = "") -> Iterator[HookVendor]:
    """Run the endpoints on a free port."""
    vendor = HookVendor(name)

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def _handle(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers.get("Content-Length") or 0)) or "{}")
            with vendor.turn:
                status, tree = vendor.answer(self.command, self.path, body)
                vendor.turn.notify_all()
            answer = json.dumps(tree).encode()
            self.send_response(status)
            self.send_header("Content-Length", str(len(answer)))
            self.end_headers()
            self.wfile.write(answer)

        do_GET = do_POST = do_DELETE = _handle  # noqa: N815 - http.server looks for these names

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        server.daemon_threads = True
        vendor.url = f"http://127.0.0.1:{server.server_port}"
        thread = threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True)
        thread.start()
        yield vendor
        server.shutdown()
        thread.join()
