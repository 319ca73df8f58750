"""Work in a few threads that a page waits for only so long: a store or a disk may hang."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Hashable, Mapping
from queue import Empty, SimpleQueue
from typing import TypeVar

_THREADS = 8
_Name = TypeVar("_Name", bound=Hashable)
_Result = TypeVar("_Result")


def done_in_time(jobs: Mapping[_Name, Callable[[], _Result]], seconds: float) -> dict[_Name, _Result]:
    """Give what comes of jobs that raise nothing, as far as they are done in time; what hangs ends with the process."""
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

    for number in range(min(_THREADS, len(jobs))):
        threading.Thread(target=work, name=f"page-{number}", daemon=True).start()
    found: dict[_Name, _Result] = {}
    while len(found) < len(jobs):
        try:
            name, result = done.get(timeout=max(end - time.monotonic(), 0.0))
        except Empty:
            break
        found[name] = result
    return found
