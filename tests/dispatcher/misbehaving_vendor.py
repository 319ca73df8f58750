"""A small StemSplit over real HTTP that misbehaves as it is told: one behaviour a submit, in the order they come."""

from __future__ import annotations

import json
import socket
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

STEMS = ("vocals", "instrumental")


@dataclass
class MisbehavingVendor:
    """What the account has, and what goes wrong."""

    credits: int = 1_000
    own_credits: dict[str, int] = field(default_factory=dict)
    """What keys have that have an account of their own."""
    submits: list[str] = field(default_factory=list)
    """Behaviours of the coming POST /jobs: cut (accept, then no answer), lose (no answer, no job), 402, ok."""
    always: str = "ok"
    """The behaviour of all others; html and 429 are refusals that say nothing."""
    endings: dict[str, list[str]] = field(default_factory=dict)
    """By track: the statuses its jobs end with, first to last; COMPLETED when none is left."""
    unlisted: bool = False
    """Whether the list lacks every job."""
    revoked: bool = False
    revoked_key: str = ""
    """The one key that is refused."""
    paid_with: Counter = field(default_factory=Counter)
    """How many jobs were made with each key."""
    denied: dict[str, int] = field(default_factory=dict)
    """By job id, how many more reads of a job are answered with status 404; the list shows it."""
    broken: dict[str, int] = field(default_factory=dict)
    """How many more requests to a path are answered with status 500."""
    name_of: Callable[[dict], str | None] = lambda order: order["fileName"]
    """What the job of an order is called in lists."""
    shown_charge: int = 10
    """What a job is said to have cost; the balance falls by 10."""
    id_of: Callable[[dict], str] = lambda job: job["id"]
    """Which id a submit is answered with."""
    is_listed: Callable[[dict], bool] = lambda _: True
    """Whether the list shows a job."""
    is_strict: bool = False
    """Whether a submit that the credits do not cover is answered with status 402."""
    refused: int = 0
    """How many submits were answered so."""
    on_arrival: Callable[[str], object] = lambda _: None
    """Told whose submit has arrived, before it is taken."""
    on_post: Callable[[], object] = lambda: None
    """Called while a submit is on the wire."""
    on_get: Callable[[str], object] = lambda _: None
    """Told the path of each read before it is answered."""
    jobs: dict[str, dict] = field(default_factory=dict)
    requests: list[str] = field(default_factory=list)
    lock: threading.Lock = field(default_factory=threading.Lock)
    url: str = ""

    def balance_of(self, key: str) -> int:
        return self.own_credits.get(key, self.credits)

    def charge(self, key: str) -> None:
        if key in self.own_credits:
            self.own_credits[key] -= 10
        else:
            self.credits -= 10

    def make_job(self, order: dict, key: str = "") -> dict:
        track = order["fileName"].split(".")[0]
        ending = self.endings.get(track, [])
        job = {
            "id": f"job{len(self.jobs)}",
            "status": ending.pop(0) if ending else "COMPLETED",
            "createdAt": _text(datetime.now(UTC)),
            "completedAt": _text(datetime.now(UTC)),
            "input": {"fileName": self.name_of(order), "durationSeconds": 10},
            "creditsRequired": 10,
            "creditsCharged": self.shown_charge,
            "errorMessage": "the engine gave up" if ending is not None else None,
            "track": track,
        }
        self.charge(key)
        self.jobs[job["id"]] = job
        return job

    def shown(self, job: dict) -> dict:
        """Give a job with links that no other read was given."""
        with self.lock:
            job["reads"] = job.get("reads", 0) + 1
        expires = _text(datetime.now(UTC) + timedelta(hours=1))
        links = {
            stem: {"url": f"{self.url}/{job['id']}/{stem}?read={job['reads']}", "expiresAt": expires}
            for stem in STEMS
        }
        return {**job, "outputs": links if job["status"] == "COMPLETED" else None}

    def tracks(self) -> list[str]:
        """The track of each job, in order."""
        return [job["track"] for job in self.jobs.values()]


class Handler(BaseHTTPRequestHandler):
    """The HTTP side."""

    protocol_version = "HTTP/1.1"
    vendor: MisbehavingVendor

    def log_message(self, *_: object) -> None:
        """Say nothing."""

    def do_GET(self) -> None:
        vendor, path = self.vendor, self.path.split("?")[0].removeprefix("/v1/")
        vendor.requests.append(f"GET {path}")
        vendor.on_get(path)
        if path.startswith("audio/splits/") or path == "credits":
            self.answer_second_dialect(path.rpartition("/")[2])
        elif vendor.revoked or self.key() == vendor.revoked_key:
            self.answer(401, {"error": {"code": "API_KEY_REVOKED", "message": "revoked"}})
        elif vendor.broken.get(path, 0) > 0:
            vendor.broken[path] -= 1
            self.answer(500, {"error": {"code": "INTERNAL", "message": "down"}})
        elif vendor.denied.get(path.removeprefix("jobs/"), 0) > 0:
            vendor.denied[path.removeprefix("jobs/")] -= 1
            self.answer(404, {"error": {"code": "NOT_FOUND", "message": "Job not found."}})
        elif path == "balance":
            self.answer(200, {"balanceSeconds": vendor.balance_of(self.key())})
        elif path == "jobs":
            jobs = [] if vendor.unlisted else [*filter(vendor.is_listed, reversed(vendor.jobs.values()))]
            self.answer(200, {"jobs": jobs, "pagination": {"hasMore": False}})
        elif (job := vendor.jobs.get(path.removeprefix("jobs/"))) is None:
            self.answer(404, {"error": {"code": "JOB_NOT_FOUND", "message": "There is no such job."}})
        else:
            self.answer(200, vendor.shown(job))

    def answer_second_dialect(self, name: str) -> None:
        """Answer a read of AIStemSplitter: it has no list."""
        vendor = self.vendor
        job = vendor.jobs.get(name)
        if name == "credits":
            self.answer(200, {"success": True, "data": {"balance": vendor.credits}})
        elif job is None or vendor.denied.get(name, 0) > 0:
            vendor.denied[name] = vendor.denied.get(name, 1) - 1
            error = {"code": "NOT_FOUND", "message": "Split not found"}
            self.answer(404, {"success": False, "error": error})
        else:
            stems = {stem: f"{vendor.url}/{name}/{stem}" for stem in ("vocals", "drums", "bass", "other")}
            data = {
                "id": name,
                "status": "succeeded",
                "creditsUsed": 10,
                "durationSeconds": 10,
                "stems": stems,
            }
            self.answer(200, {"success": True, "data": data})

    def do_POST(self) -> None:
        order = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        if self.path.endswith("/audio/splits"):
            self.vendor.requests.append("POST splits")
            track = order["input"]["url"].rpartition("/")[2]
            split = self.vendor.make_job({"fileName": track})
            self.answer(201, {"success": True, "data": {"id": split["id"], "creditsUsed": 10}})
            return
        self.vendor.on_arrival(order["fileName"].split(".")[0])
        with self.vendor.lock:
            self.vendor.requests.append("POST jobs")
            behaviour = self.vendor.submits.pop(0) if self.vendor.submits else self.vendor.always
            if self.vendor.is_strict and self.vendor.balance_of(self.key()) < 10:
                behaviour = "402"
            self.vendor.refused += behaviour == "402"
            job = self.vendor.make_job(order, self.key()) if behaviour in {"ok", "cut"} else None
            self.vendor.paid_with[self.key()] += job is not None
        self.vendor.on_post()
        if behaviour in {"cut", "lose"}:
            self.close_connection = True
            with suppress(OSError):
                self.connection.shutdown(socket.SHUT_RDWR)
        elif behaviour == "html":
            self.send_body(400, b"<html>Bad Request</html>", "text/html")
        elif behaviour == "429":
            self.send_body(429, b"", "text/plain")
        elif behaviour == "422":
            self.answer(422, {"error": {"code": "INVALID_FORMAT", "message": "No audio."}})
        elif behaviour == "402":
            error = {
                "code": "INSUFFICIENT_CREDITS",
                "message": "Not enough credits.",
                "purchaseUrl": "x.test",
            }
            self.answer(402, {"error": error})
        else:
            self.answer(201, {**job, "id": self.vendor.id_of(job)})

    def key(self) -> str:
        return self.headers["Authorization"].removeprefix("Bearer ")

    def answer(self, status: int, tree: dict) -> None:
        self.send_body(status, json.dumps(tree).encode(), "application/json")

    def send_body(self, status: int, body: bytes, kind: str) -> None:
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


@contextmanager
def running_vendor() -> Iterator[MisbehavingVendor]:
    """Serve on a loopback port for the length of a `with` block."""
    vendor = MisbehavingVendor()
    server = ThreadingHTTPServer(("127.0.0.1", 0), type("Bound", (Handler,), {"vendor": vendor}))
    server.daemon_threads = True
    vendor.url = f"http://127.0.0.1:{server.server_address[1]}/v1"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield vendor
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def _text(instant: datetime) -> str:
    return instant.isoformat().replace("+00:00", "Z")
