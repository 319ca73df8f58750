"""Watching a run from a thread of its own, and ending it in good order when a signal asks for that."""

from __future__ import annotations

import contextvars
import signal
import threading
from abc import ABC, abstractmethod
from collections.abc import Callable
from functools import partial
from types import FrameType
from typing import ClassVar

from stemline.run.run import Run


class RunWatch(ABC):
    """An observer that looks at the run until it ends; `_over` is set then."""

    patience: ClassVar[float | None] = None
    """How long the end of a run waits for the last look at it, in seconds; None: until that is over."""

    def __init__(self, *signals: signal.Signals) -> None:
        """Have these signals interrupt the run, where it is in the main thread."""
        self._signals = signals
        self._over = threading.Event()
        self._thread: threading.Thread | None = None
        self._restore: list[Callable[[], object]] = []

    def opened(self, run: Run) -> None:
        """Begin to watch."""
        self._handle_signals(run)
        self._over.clear()
        # The thread gets the context of who opened the run: what it makes under Prefect belongs to that flow run.
        watch = partial(contextvars.copy_context().run, self._watch, run)
        self._thread = threading.Thread(target=watch, name="run-watch", daemon=True)
        self._thread.start()

    def closed(self, _: Run) -> None:
        """Stop watching; called while the run's ledger is still open."""
        self._over.set()
        if self._thread is not None:
            self._thread.join(self.patience)
        while self._restore:
            self._restore.pop()()

    @abstractmethod
    def _watch(self, run: Run) -> None:
        """Look at the run until `_over` is set."""

    @abstractmethod
    def _interrupt(self, run: Run, number: int) -> None:
        """Act on a signal; it may come at any moment, and more than once."""

    def _handle_signals(self, run: Run) -> None:
        if threading.current_thread() is not threading.main_thread():
            return

        def interrupt(number: int, _: FrameType | None) -> None:
            self._interrupt(run, number)

        for number in self._signals:
            before = signal.signal(number, interrupt)
            self._restore.append(partial(signal.signal, number, before))
