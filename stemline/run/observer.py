"""Somebody who watches a run, such as the terminal."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Protocol

from stemline.run.run import Run


class Observer(Protocol):
    """What such a one is told."""

    def opened(self, run: Run) -> None:
        """Take note that a run begins."""

    def closed(self, run: Run) -> None:
        """Take note that it has ended."""


_observer: ContextVar[Observer | None] = ContextVar("observer", default=None)


@contextmanager
def observed_by(observer: Observer) -> Iterator[None]:
    """Have an observer told of the runs begun inside the `with` block."""
    token = _observer.set(observer)
    try:
        yield
    finally:
        _observer.reset(token)


def present_observer() -> Observer | None:
    """Give who watches at present."""
    return _observer.get()
