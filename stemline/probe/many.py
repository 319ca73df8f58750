"""Probes of many audio files at once, in the order they are asked for."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

from stemline.errors import AudioRejected
from stemline.probe.facts import AudioFacts
from stemline.probe.single import probe

Outcome = AudioFacts | AudioRejected
_AHEAD_PER_WORKER = 16


def probe_many(
    locations: Iterable[str], *, workers: int = 4, storage_options: dict[str, Any] | None = None
) -> Iterator[tuple[str, Outcome]]:
    """Give each location with its facts, or with the error that says what is wrong with it.

    The order is that of `locations`, which are taken only a little ahead of what is given.
    """

    def outcome(location: str) -> Outcome:
        try:
            return probe(location, storage_options=storage_options)
        except AudioRejected as error:
            return error

    waiting: deque[tuple[str, Future[Outcome]]] = deque()
    with ThreadPoolExecutor(workers, thread_name_prefix="probe") as pool:
        for location in locations:
            waiting.append((location, pool.submit(outcome, location)))
            if len(waiting) >= workers * _AHEAD_PER_WORKER:
                yield _first(waiting)
        while waiting:
            yield _first(waiting)


def _first(waiting: deque[tuple[str, Future[Outcome]]]) -> tuple[str, Outcome]:
    location, future = waiting.popleft()
    return location, future.result()
