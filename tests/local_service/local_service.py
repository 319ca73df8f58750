"""A real service over HTTP: in a thread where the clock must move, in a process where it must die."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, HTTPServer, SimpleHTTPRequestHandler, ThreadingHTTPServer
from io import BytesIO
from pathlib import Path
from queue import Queue
from threading import Event, Thread
from typing import Self

import httpx
import numpy as np
import soundfile

from stemline_local import ServiceOptions
from stemline_local.server import LocalServer, ServiceAddress

KEY = "sk_live_first"
OTHER_KEY = "sk_live_second"
WAIT_SECONDS = 60
TLS = httpx.create_ssl_context()  # loading it for each client would take longer than most tests

storage = httpx.Client(verify=TLS)
"""For transfers and other requests without an API key."""


@dataclass
class Clock:
    """The time of day as the service sees it."""

    now: float = field(default_factory=time.time)

    def __call__(self) -> float:
        return self.now


class Client(httpx.Client):
    """A bare HTTP client of the StemSplit dialect, with the steps that every test needs."""

    def __init__(self, url: str, key: str = KEY) -> None:
        super().__init__(
            base_url=f"{url}/api/v1/", headers={"Authorization": f"Bearer {key}"}, timeout=30, verify=TLS
        )

    def ticket(self, filename: str = "song.wav", **fields: str) -> dict:
        response = self.post("upload", json={"filename": filename, **fields})
        assert response.status_code == 200, response.text
        return response.json()

    def uploaded(self, audio: bytes, filename: str = "song.wav") -> str:
        """Upload, and give the key."""
        ticket = self.ticket(filename)
        headers = {"Content-Type": ticket["contentType"]}
        assert storage.put(ticket["uploadUrl"], content=audio, headers=headers).status_code == 200
        return ticket["uploadKey"]

    def submit(self, audio: bytes, **fields: object) -> httpx.Response:
        return self.post("jobs", json={"uploadKey": self.uploaded(audio), "quality": "FAST", **fields})

    def created(self, audio: bytes, **fields: object) -> str:
        """Submit, and give the job's id."""
        response = self.submit(audio, **fields)
        assert response.status_code == 201, response.text
        return response.json()["id"]

    def job(self, job_id: str) -> dict:
        return self.get(f"jobs/{job_id}").raise_for_status().json()

    def wait(self, job_id: str, *statuses: str, at_least: int = 0, at_most: int = 100) -> dict:
        """Give the job once it stands at one of `statuses`, with so much progress."""
        wanted = statuses or ("COMPLETED", "FAILED")
        deadline = time.monotonic() + WAIT_SECONDS
        while True:
            job = self.job(job_id)
            if job["status"] in wanted and at_least <= job["progress"] <= at_most:
                return job
            assert job["status"] not in {"FAILED", "EXPIRED"}, job
            assert time.monotonic() < deadline, job
            time.sleep(0.02)

    def balance(self) -> int:
        return self.get("balance").raise_for_status().json()["balanceSeconds"]


class SplitClient(httpx.Client):
    """A bare HTTP client of the AIStemSplitter dialect, with the steps that every test needs."""

    def __init__(self, url: str, key: str) -> None:
        super().__init__(
            base_url=f"{url}/v1/", headers={"Authorization": f"Bearer {key}"}, timeout=30, verify=TLS
        )

    def reserved(self, length: int, filename: str = "song.wav") -> dict:
        fields = {"filename": filename, "contentType": "audio/wav", "contentLength": length}
        return data_of(self.post("audio/uploads", json=fields))

    def uploaded(self, audio: bytes, filename: str = "song.wav") -> dict:
        """Upload, and give the input of a split."""
        reservation = self.reserved(len(audio), filename)
        headers = {**reservation["uploadHeaders"], "Content-Type": "audio/wav"}
        sent = data_of(storage.post(reservation["uploadUrl"], content=audio, headers=headers))
        return {
            "type": "uploaded_file",
            "uploadId": reservation["uploadId"],
            "fileUrl": sent["url"],
            "storageKey": sent["key"],
        }

    def submit(self, source: dict, key: str | None = None, **fields: object) -> httpx.Response:
        headers = {} if key is None else {"Idempotency-Key": key}
        return self.post("audio/splits", json={"input": source, **fields}, headers=headers)

    def split(self, split_id: str) -> dict:
        return data_of(self.get(f"audio/splits/{split_id}"))

    def wait(self, split_id: str) -> dict:
        """Give the split once it has ended."""
        deadline = time.monotonic() + WAIT_SECONDS
        while (split := self.split(split_id))["status"] not in {"succeeded", "failed"}:
            assert time.monotonic() < deadline, split
            time.sleep(0.02)
        return split

    def balance(self) -> int:
        return data_of(self.get("credits"))["balance"]


def data_of(response: httpx.Response) -> dict:
    """Give what an envelope holds."""
    envelope = response.json()
    assert (response.status_code, envelope["success"]) == (200, True), response.text
    assert set(envelope) == {"success", "data"}
    return envelope["data"]


@dataclass
class Call:
    """One request that a receiver was sent."""

    path: str
    headers: dict[str, str]
    body: bytes

    @property
    def payload(self) -> dict:
        return json.loads(self.body)


class Receiver:
    """Somebody who is called: keeps every call, and answers as told, with 200 in the end."""

    def __init__(self, *answers: int, port: int = 0) -> None:
        self.calls: Queue[Call] = Queue()
        self.answers = list(answers)
        self.may_answer = Event()
        self.may_answer.set()
        receiver = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                headers = {name.lower(): value for name, value in self.headers.items()}
                receiver.calls.put(Call(self.path, headers, body))
                receiver.may_answer.wait(WAIT_SECONDS)
                with suppress(OSError):  # whoever called has gone
                    self.send_response(receiver.answers.pop(0) if receiver.answers else 200)
                    self.end_headers()

            def log_message(self, *_: object) -> None:
                return

        self._server = ThreadingHTTPServer(("127.0.0.1", port), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_port}"
        self._thread = Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.01})

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.may_answer.set()
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    def call(self) -> Call:
        """Give the next call."""
        return self.calls.get(timeout=WAIT_SECONDS)


@contextmanager
def listening(options: ServiceOptions, clock: Callable[[], float] = time.time) -> Iterator[ServiceAddress]:
    """Run the service in a thread of this process."""
    addresses: Queue[ServiceAddress] = Queue()
    server = LocalServer(options, addresses.put, clock)
    thread = Thread(target=server.run)
    thread.start()
    try:
        yield addresses.get(timeout=WAIT_SECONDS)
    finally:
        server.should_exit = True
        thread.join(WAIT_SECONDS)
        assert not thread.is_alive()


def tone(seconds: float, sample_rate: int = 22_050, suffix: str = "wav") -> bytes:
    """A chord with a beat, as the bytes of an audio file."""
    time_axis = np.arange(round(seconds * sample_rate)) / sample_rate
    chord = sum(np.sin(2 * np.pi * pitch * time_axis) for pitch in (196.0, 233.1, 293.7))
    beat = 0.5 + 0.5 * (time_axis % 0.5 < 0.1)
    file = BytesIO()
    soundfile.write(file, 0.2 * chord * beat, sample_rate, format=suffix)
    return file.getvalue()


def error_of(response: httpx.Response) -> tuple[int, str]:
    """Give the status and the code of a refusal in the vendor's shape."""
    error = response.json()["error"]
    assert error["message"]
    return response.status_code, error["code"]


def split_error_of(response: httpx.Response) -> tuple[int, str]:
    """Give the status and the code of a refusal in the vendor's envelope."""
    envelope = response.json()
    assert set(envelope) == {"success", "error"}
    assert set(envelope["error"]) == {"code", "message"}
    assert envelope["success"] is False
    return response.status_code, envelope["error"]["code"]


@contextmanager
def serving_folder(folder: Path) -> Iterator[str]:
    """Serve a folder over HTTP."""
    site = HTTPServer(("127.0.0.1", 0), lambda *args: _QuietFiles(*args, directory=str(folder)))
    Thread(target=site.serve_forever, kwargs={"poll_interval": 0.01}).start()
    try:
        yield f"http://127.0.0.1:{site.server_port}"
    finally:
        site.shutdown()
        site.server_close()


class _QuietFiles(SimpleHTTPRequestHandler):
    def log_message(self, *_: object) -> None:
        return


@dataclass(frozen=True)
class VendorClients:
    """A service that copies instead of separating, and a key for both dialects that nobody has used."""

    url: str
    key: str
    webhook_secret: str
    jobs: Client
    splits: SplitClient

    def break_with(self, *faults: dict) -> None:
        """Put faults in force."""
        response = self.jobs.post(f"{self.url}/_faults", json={"faults": list(faults)})
        assert response.status_code == 200, response.text
