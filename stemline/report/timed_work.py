"""Work in a few threads that a page waits for only so long: a store or a disk may hang."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Hashable, Iterator, Mapping
from contextlib import suppress
from queue import Empty, SimpleQueue
from typing import TypeVar

PREVIEW_SECONDS, PATIENT_SECONDS = 20.0, 180.0
"""So long a run waits for previews at its end, and a page that somebody asks for."""
_THREADS = 8
_SPARE_SECONDS = 10.0
"""What was begun in time may take so long to end, on a machine that has much else to do."""
_Name = TypeVar("_Name", bound=Hashable)
_Result = TypeVar("_Result")
_Item = TypeVar("_Item")


def done_in_time(jobs: Mapping[_Name, Callable[[], _Result]], seconds: float) -> dict[_Name, _Result]:
    """Give what comes of jobs that raise nothing, as far as they were begun in time; what hangs is left."""
    end = time.monotonic() + seconds
    waiting: SimpleQueue[tuple[_Name, Callable[[], _Result]]] = SimpleQueue()
    done: SimpleQueue[tuple[_Name, _Result]] = SimpleQueue()
    for each in jobs.items():
        waiting.put(each)

    def work() -> None:
        while time.monotonic() < end:
            try:
                name, job = waiting.get_nowait()
            except Empty:
                return
            done.put((name, job()))

    threads = [
        threading.Thread(target=work, name=f"page-{number}", daemon=True)
        for number in range(min(_THREADS, len(jobs)))
    ]
    for thread in threads:
        thread.start()
    for thread in threads:  # one that is decoding when the process ends would take it down with it
        thread.join(max(end + _SPARE_SECONDS - time.monotonic(), 0.0))
    return dict(_all_of(done))


def _all_of(done: SimpleQueue[_Item]) -> Iterator[_Item]:
    with suppress(Empty):
        while True:
            yield done.get_nowait()
