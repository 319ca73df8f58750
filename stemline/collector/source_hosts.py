"""Hosts of sources that do not answer: not every track that is paid for waits for each of them."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from threading import Lock
from urllib.parse import urlsplit

from stemline.errors import TransferFailed

FAILURES = 3
"""So many in a row are the host's."""
PAUSE_SECONDS = 300.0
"""How long nobody asks it then; whoever asks first afterwards finds out for all."""


class SourceHosts:
    """Which hosts failed last, over all threads that fetch sources."""

    def __init__(self, now: Callable[[], float] = time.monotonic) -> None:
        """Begin with no failures."""
        self._now, self._lock = now, Lock()
        self._failures: dict[str, int] = {}
        self._away_until: dict[str, float] = {}

    @contextmanager
    def asking(self, location: str) -> Iterator[None]:
        """Note whether a source's host fails in the `with` block; raises TransferFailed at once while it is away."""
        parts = urlsplit(location)
        host = f"{parts.scheme}://{parts.hostname or ''}"  # a name and password may stand before it
        self._require_there(host)
        try:
            yield
        except TransferFailed:
            self._note_failure(host)
            raise
        except Exception:
            self._note_answer(host)
            raise
        self._note_answer(host)

    def _require_there(self, host: str) -> None:
        with self._lock:
            if self._now() < self._away_until.get(host, 0.0):
                raise TransferFailed(
                    f"{host} did not answer {FAILURES} times in a row, and is not asked for a while."
                )
            if self._failures.get(host, 0) >= FAILURES:
                self._away_until[host] = self._now() + PAUSE_SECONDS

    def _note_failure(self, host: str) -> None:
        with self._lock:
            self._failures[host] = self._failures.get(host, 0) + 1
            if self._failures[host] >= FAILURES:
                self._away_until[host] = self._now() + PAUSE_SECONDS

    def _note_answer(self, host: str) -> None:
        with self._lock:
            self._failures.pop(host, None)
            self._away_until.pop(host, None)
