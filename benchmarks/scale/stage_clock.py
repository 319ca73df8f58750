"""The CPU time of each stage of collecting, over all threads of this process."""

from __future__ import annotations

import hashlib
import os
import threading
import time
from collections import defaultdict
from collections.abc import Callable, Generator
from contextlib import suppress
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from stemline.audio import FlacChecksum, Loudness, PacketIndex
from stemline.collector import stream_verification
from stemline.collector.batch import TrackCollector
from stemline.collector.download import Downloader
from stemline.collector.stream_verification import StreamVerifier
from stemline.storage.local_store import LocalStore
from stemline.storage.s3_store import S3ObjectStore
from stemline.verify import StemMeasures

STAGES = (
    "downloading",
    "decoding",
    "loudness",
    "activity",
    "hashing",
    "passing on",
    "storing",
    "the rest",
)
"""`hashing` is the SHA-256 of the object and the MD5 of its samples; `passing on` goes through the decoder's pipe."""


class StageClock:
    """Charges each thread's CPU to the stage that it is in; a stage within another is not the outer one's."""

    def __init__(self) -> None:
        """Begin at nothing."""
        self._here = threading.local()
        self._of_threads: list[dict[str, float]] = []

    @property
    def seconds(self) -> dict[str, float]:
        """The CPU seconds of each stage so far."""
        return {stage: sum(spent[stage] for spent in list(self._of_threads)) for stage in STAGES}

    def reset(self) -> None:
        """Begin at nothing once more; nothing may be at work."""
        for spent in self._of_threads:
            spent.clear()

    def timed(self, stage: str, function: Callable[..., Any]) -> Callable[..., Any]:
        """Give the function such that its time is the stage's."""

        def inside(*positional: object, **named: object) -> object:
            self._enter(stage)
            try:
                return function(*positional, **named)
            finally:
                self._leave()

        return inside

    def timed_steps(self, stage: str, function: Callable[..., Any]) -> Callable[..., Any]:
        """Give the generator function such that the time of its steps is the stage's."""

        def steps(*positional: object, **named: object) -> Generator[object, None, None]:
            inner = function(*positional, **named)
            step = self.timed(stage, lambda: next(inner, self))  # itself: no generator gives that
            try:
                while (given := step()) is not self:
                    yield given
            finally:
                inner.close()

        return steps

    def watch_collecting(self) -> None:
        """Have the collector of this process tell its stages from now on."""
        for owner, name, stage in (
            (TrackCollector, "collect", "the rest"),
            (stream_verification, "decode_stem", "decoding"),
            (Loudness, "add", "loudness"),
            (Loudness, "rms_dbfs_by_second", "activity"),
            (PacketIndex, "add", "activity"),
            (PacketIndex, "offsets", "activity"),
            (StemMeasures, "stored", "activity"),
            (FlacChecksum, "add", "hashing"),
            (LocalStore, "put_stream", "storing"),
            (S3ObjectStore, "put_stream", "storing"),
        ):
            setattr(owner, name, self.timed(stage, getattr(owner, name)))
        Downloader.chunks = self.timed_steps("downloading", Downloader.chunks)
        StreamVerifier.pass_on = self.timed_steps("passing on", StreamVerifier.pass_on)
        stream_verification.hashlib = SimpleNamespace(sha256=self._sha256)

    def _sha256(self) -> object:
        digest = hashlib.sha256()
        return SimpleNamespace(update=self.timed("hashing", digest.update), hexdigest=digest.hexdigest)

    def _enter(self, stage: str) -> None:
        here = self._here
        if not hasattr(here, "stages"):
            here.stages, here.spent = [], defaultdict(float)
            self._of_threads.append(here.spent)
        now = time.thread_time()
        if here.stages:
            here.spent[here.stages[-1]] += now - here.since
        here.stages.append(stage)
        here.since = now

    def _leave(self) -> None:
        here = self._here
        now = time.thread_time()
        here.spent[here.stages.pop()] += now - here.since
        here.since = now


def store_thread_seconds() -> float:
    """Give the CPU seconds of the threads that obstore keeps for itself."""
    ticks = 0
    for task in Path("/proc/self/task").iterdir():
        with suppress(OSError):  # one that has ended since
            name, _, rest = (task / "stat").read_text().partition("(")[2].rpartition(")")
            if name.startswith("tokio"):
                fields = rest.split()
                ticks += int(fields[11]) + int(fields[12])  # utime and stime, 14 and 15 of proc(5)
    return ticks / os.sysconf("SC_CLK_TCK")
