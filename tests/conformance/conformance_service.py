"""What the conformance tests are made of: tiny songs, a service that knows every key, somebody to call back."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import ThreadingHTTPServer
from pathlib import Path
from queue import Queue
from types import SimpleNamespace

import numpy as np
import pytest
import yaml

from stemline.audio import encode
from stemline_local import ApiKey, ServiceOptions

CREDITS = 1_000
FAST = {"poll_interval": 0.02, "timeout": 30}
"""How to wait for a job of StemSplit's package."""
VIDEO = "dQw4w9WgXcQ"
KEYS = 200
SAMPLE_RATE = 22_050
KINDS = ("wav", "flac", "mp3")


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


def options(folder: Path, song: Path, **changes) -> ServiceOptions:
    """A service that copies instead of separating, with many keys of both vendors' looks and of none."""
    (folder / "videos.yaml").write_text(f"{VIDEO}: {{audio: {song}, title: Never, channel: Rick}}\n")
    names = [f"{prefix}_live_{number}" for prefix in ("sk", "ast") for number in range(KEYS)]
    names += [*(f"any_{number}" for number in range(20)), "sk_live_node", "ast_live_node"]
    keys = [ApiKey(name, CREDITS) for name in names]
    facts = {"requests_per_minute": 100_000, "workers": 2, "engine": "copy", "allow_private_sources": True}
    return ServiceOptions(
        folder / "service",
        keys=(*keys, ApiKey("sk_live_poor", 1), ApiKey("ast_live_poor", 1)),
        videos=folder / "videos.yaml",
        **{**facts, **changes},
    )


@contextmanager
def prompt_vendors() -> Iterator[None]:
    """Let runs expect of every vendor the speed of the local service, which copies; a hosted one takes its time."""

    def safe_load(text: str) -> dict:
        return {**yaml.safe_load(text), "speed": 0.02, "latency_seconds": 0.3, "sweep_seconds": 0.5}

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("stemline.settings.facts.yaml", SimpleNamespace(safe_load=safe_load))
        yield


@contextmanager
def serving(handler) -> Iterator[str]:
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
