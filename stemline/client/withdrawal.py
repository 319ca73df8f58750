"""Submits that may be called back: once nothing more is to be submitted, what has not left does not leave."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager

from stemline.errors import SubmitWithdrawn


class SubmitGate:
    """The way out of every submit: open until it is closed, once and for all."""

    def __init__(self) -> None:
        self._is_closed = False
        self._tasks: set[asyncio.Task[object]] = set()
        """Submits under way."""
        self._on_wire: set[asyncio.Task[object]] = set()
        """Those of them whose paid request has left: they are waited for."""
        self._withdrawn: set[asyncio.Task[object]] = set()

    def close(self) -> None:
        """Let nothing leave from now on: whoever waits is told at once, by SubmitWithdrawn."""
        self._is_closed = True
        for task in self._tasks - self._on_wire - self._withdrawn - {asyncio.current_task()}:
            self._withdrawn.add(task)
            task.cancel()

    def require_open(self) -> None:
        """Raise SubmitWithdrawn once the gate is closed."""
        if self._is_closed:
            raise SubmitWithdrawn("The run submits nothing more.")

    @asynccontextmanager
    async def submitting(self) -> AsyncIterator[None]:
        """Be a submit that may be called back, for the length of the block; raises SubmitWithdrawn when it is."""
        self.require_open()
        task = _present_task()
        self._tasks.add(task)
        try:
            yield
        except asyncio.CancelledError:
            if task not in self._withdrawn or task.uncancel():
                raise  # somebody else cancels it as well
            raise SubmitWithdrawn("The run submits nothing more.") from None
        finally:
            self._tasks.discard(task)
            self._withdrawn.discard(task)

    @contextmanager
    def sending(self) -> Iterator[None]:
        """Be on the wire, for the length of the block."""
        task = _present_task()
        self._on_wire.add(task)
        try:
            yield
        finally:
            self._on_wire.discard(task)


def _present_task() -> asyncio.Task[object]:
    task = asyncio.current_task()
    if task is None:
        raise RuntimeError("A submit is a task of the dispatcher's loop.")
    return task
