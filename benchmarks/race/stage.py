"""The stage: one song behind an HTTP server, and the local service with a key for each runner."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import numpy as np

from stemline.audio import encode
from stemline_local import ApiKey, ServiceOptions
from stemline_local.process import RunningService, running_service

SAMPLE_RATE = 22_050
SONG_SECONDS = 5
"""The shortest that StemSplit takes."""
REQUESTS_PER_MINUTE = 60
CREDITS = 10**9
JOBS_AT_ONCE = 1_000
"""No runner waits for another's jobs."""


class _Files(SimpleHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@contextmanager
def serving_song(folder: Path) -> Iterator[str]:
    """Give where a small song is fetched from, for the length of a `with` block."""
    clock = np.arange(SONG_SECONDS * SAMPLE_RATE) / SAMPLE_RATE
    tone = 0.3 * np.sin(2 * np.pi * 220 * clock).astype(np.float32)
    encode(folder / "song.flac", tone[:, None], SAMPLE_RATE, "flac")
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(_Files, directory=str(folder)))
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}/song.flac"
    finally:
        server.shutdown()
        server.server_close()


@contextmanager
def serving_jobs(folder: Path, keys: Sequence[str], job_seconds: float) -> Iterator[RunningService]:
    """Run the local service: it copies, and takes its time over it."""
    options = ServiceOptions(
        folder=folder,
        keys=tuple(ApiKey(key, CREDITS) for key in keys),
        requests_per_minute=REQUESTS_PER_MINUTE,
        workers=1,
        max_running=JOBS_AT_ONCE,
        speed=job_seconds / SONG_SECONDS,
        engine="copy",
        allow_private_sources=True,
    )
    with running_service(options) as service:
        yield service
