"""The peer: `stemsplit-python` as published, over a pool of threads, each taking one track from submit to download."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path
from typing import TypeVar

import httpx
import stemsplit_python as sdk

T = TypeVar("T")

API = "/api/v1/"
FULL_WINDOW_SECONDS = 60.0


@dataclass
class Pool:
    """A pool at work; it stops when it is told to, whatever its threads are waiting for."""

    threads: int
    poll_seconds: float
    is_patient: bool
    """Whether we repeat for it what it gave up for its pace: by itself it does so four times, then loses the track."""
    base_url: str
    key: str
    folder: Path
    finished: list[float] = field(default_factory=list)
    """When each track had been downloaded, on the wall clock."""
    requests: int = 0
    refused: int = 0
    lost: int = 0
    """Tracks that it gave up, most of them with a job that is paid for."""
    errors: list[str] = field(default_factory=list)
    is_over: threading.Event = field(default_factory=threading.Event)
    _numbers: count = field(default_factory=count)

    @property
    def name(self) -> str:
        """What it is called in the table."""
        manner = "patient" if self.is_patient else "as it is"
        return f"{self.threads} threads, {self.poll_seconds:g} s, {manner}"

    def start(self, song_url: str) -> None:
        """Begin."""
        http = httpx.Client(
            timeout=httpx.Timeout(30, connect=10),
            event_hooks={"response": [self._count]},
            limits=httpx.Limits(max_connections=2 * self.threads),
        )
        client = sdk.StemSplit(api_key=self.key, base_url=self.base_url, http_client=http)
        for _ in range(self.threads):
            threading.Thread(target=self._work, args=(client, song_url), daemon=True).start()

    def _work(self, client: sdk.StemSplit, song_url: str) -> None:
        while not self.is_over.is_set():
            number = next(self._numbers)
            try:
                self._take_through(client, song_url, number)
            except sdk.RateLimitError:
                self.lost += 1
            except Exception as error:  # noqa: BLE001 - a pool goes on; what went wrong is shown
                self.errors.append(repr(error))
                time.sleep(1)

    def _take_through(self, client: sdk.StemSplit, song_url: str, number: int) -> None:
        handle = self._patiently(
            lambda: client.jobs.create(
                source_url=f"{song_url}?{number}",
                file_name=f"track-{number}.flac",
                output_type="BOTH",
                quality="FAST",
                output_format="FLAC",
            )
        )
        self._patiently(lambda: handle.wait(poll_interval=self.poll_seconds, timeout=3_600))
        handle.download_all(self.folder / str(number))
        if not self.is_over.is_set():
            self.finished.append(time.time())

    def _patiently(self, call: Callable[[], T]) -> T:
        while True:
            try:
                return call()
            except sdk.RateLimitError as error:
                if not self.is_patient:
                    raise
                time.sleep(error.retry_after or FULL_WINDOW_SECONDS)

    def _count(self, response: httpx.Response) -> None:
        if not self.is_over.is_set() and response.request.url.path.startswith(API):
            self.requests += 1
            self.refused += response.status_code == httpx.codes.TOO_MANY_REQUESTS
