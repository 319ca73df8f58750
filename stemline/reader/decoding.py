"""How many threads decode at once, whatever else waits for the network: what one decodes takes 6 MB meanwhile."""

from __future__ import annotations

import os
import threading
from contextlib import AbstractContextManager

_A_CORE = 2
"""So many: while one thread of them waits for the interpreter, another decodes."""
_by_process: dict[int, threading.BoundedSemaphore] = {}
"""A process that was forked off may find its parent's taken for ever."""


def decoding() -> AbstractContextManager[object]:
    """Give what holds a thread until it may decode."""
    process = os.getpid()
    if process not in _by_process:
        _by_process.setdefault(process, threading.BoundedSemaphore(_A_CORE * _cores()))
    return _by_process[process]


def _cores() -> int:
    """Give the cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
