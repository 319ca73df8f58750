"""A ledger whose process is killed between two statements, as often as a test wants it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from sqlalchemy import Connection, event

from stemline.ledger import Ledger, open_ledger
from stemline.ledger.store import Clock


class Killed(BaseException):
    """The process is gone: nothing of ours may catch it."""


class MortalLedgers:
    """Processes on one database, each with a ledger of its own; one that dies is started anew and closes nothing."""

    def __init__(self, url: str, clock: Clock, processes: int) -> None:
        self._url, self._clock = url, clock
        self._dead: list[Ledger] = []
        self.lives = [0] * processes
        self.ledgers = [self._open() for _ in range(processes)]

    def die(self, process: int) -> None:
        """Drop a process's ledger as it stands and open another."""
        self._dead.append(self.ledgers[process])
        self.lives[process] += 1
        self.ledgers[process] = self._open()

    def close(self) -> None:
        for ledger in (*self.ledgers, *self._dead):
            ledger.close()

    def _open(self) -> Ledger:
        return open_ledger(self._url, clock=self._clock)


@contextmanager
def killing(ledger: Ledger, statements: int) -> Iterator[None]:
    """Raise Killed when so many statements were sent, or where a transaction would commit after them."""
    left = [statements]

    def count(*_: object) -> None:
        left[0] -= 1
        if left[0] < 0:
            raise Killed

    with _listening(ledger, "before_cursor_execute", count), _listening(ledger, "commit", count):
        yield


@contextmanager
def _listening(ledger: Ledger, name: str, listener: Callable[..., None]) -> Iterator[None]:
    event.listen(ledger._engine, name, listener)
    try:
        yield
    finally:
        event.remove(ledger._engine, name, listener)


class Heart:
    """What a process lives by: it stops right after a transaction, and from then on the ledger is out of reach."""

    def __init__(self, ledger: Ledger, beats: int | None) -> None:
        self.is_dead = False
        self.on_death: Callable[[], object] = lambda: None
        self._beats = beats
        ledger.read, ledger.write = self._guarded(ledger.read), self._guarded(ledger.write, self._beat)

    def stop(self) -> None:
        self.is_dead = True
        self.on_death()

    def _beat(self) -> None:
        if self._beats is None:
            return
        self._beats -= 1
        if self._beats <= 0:
            self.stop()
            raise Killed

    def _guarded(self, opened: Callable, after: Callable[[], object] = lambda: None) -> Callable:
        @contextmanager
        def guarded() -> Iterator[Connection]:
            if self.is_dead:
                raise Killed
            with opened() as connection:
                yield connection
            after()

        return guarded
