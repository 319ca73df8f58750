"""A ledger whose process is killed between two statements, as often as a test wants it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from sqlalchemy import Connection, event

from stemline.clock import Clock
from stemline.ledger import Ledger, open_ledger


class Killed(BaseException):
    """The process is gone: nothing of ours may catch it."""


class KillableLedgers:
    """Processes on one database, each with a ledger of its own; one that is killed closes nothing and is replaced."""

    def __init__(self, url: str, clock: Clock, processes: int) -> None:
        self._url, self._clock = url, clock
        self._killed: list[Ledger] = []
        self.restarts = [0] * processes
        self.ledgers = [self._open() for _ in range(processes)]

    def replace(self, process: int) -> None:
        """Drop a process's ledger as it stands and open another."""
        self._killed.append(self.ledgers[process])
        self.restarts[process] += 1
        self.ledgers[process] = self._open()

    def close(self) -> None:
        for ledger in (*self.ledgers, *self._killed):
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
    event.listen(ledger.database._engine, name, listener)
    try:
        yield
    finally:
        event.remove(ledger.database._engine, name, listener)


class KillSwitch:
    """Kills a process right after one of its transactions: from then on its ledger is out of reach."""

    def __init__(self, ledger: Ledger, transactions: int | None) -> None:
        self.is_killed = False
        self.on_kill: Callable[[], object] = lambda: None
        self._transactions_left = transactions
        database = ledger.database
        database.read = self._guarded(database.read)
        database.write = self._guarded(database.write, self._count)

    def kill(self) -> None:
        self.is_killed = True
        self.on_kill()

    def _count(self) -> None:
        if self._transactions_left is None:
            return
        self._transactions_left -= 1
        if self._transactions_left <= 0:
            self.kill()
            raise Killed

    def _guarded(self, opened: Callable, after: Callable[[], object] = lambda: None) -> Callable:
        @contextmanager
        def guarded() -> Iterator[Connection]:
            if self.is_killed:
                raise Killed
            with opened() as connection:
                yield connection
            after()

        return guarded
