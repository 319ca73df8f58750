"""A process that dies after so many writes into its dataset, or after so many transactions of its ledger."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from itertools import count
from pathlib import Path
from typing import Any

from sqlalchemy import Connection

from stemline.ledger.database import LedgerDatabase
from stemline.storage.local_store import LocalStore


class Died(BaseException):
    """The process is gone."""


class MortalStore(LocalStore):
    """Dies at a write: before it, or right behind it."""

    def __init__(self, root: str, after: int | None = None, *, is_done: bool = False) -> None:
        super().__init__(root)
        self.writes, self.after, self.is_done = 0, after, is_done

    def _write(self, write: Callable[..., Any], *arguments: Any) -> Any:
        self.writes += 1
        if self.after is not None and self.writes > self.after:
            if self.is_done and self.writes == self.after + 1:
                write(*arguments)
            raise Died
        return write(*arguments)

    def put_file(self, key: str, local_path: Path) -> None:
        self._write(super().put_file, key, local_path)

    def put_stream(self, key: str, chunks: Any) -> None:
        self._write(super().put_stream, key, chunks)

    def copy(self, source: str, target: str) -> None:
        self._write(super().copy, source, target)

    def delete(self, key: str) -> None:
        self._write(super().delete, key)


def sweep(step: int, die: Callable[[int], bool], seed: int) -> int:
    """Let it die at points `step` apart, the first of which a seed says, until it lives; give the last of them."""
    for after in count(seed % step, step):
        if not die(after):
            return after
    raise AssertionError


def dying_write(after: int) -> Callable[[LedgerDatabase], AbstractContextManager[Connection]]:
    """Give what takes the place of a ledger's transactions: after so many the process is gone."""
    begin, made = LedgerDatabase.write, count()

    @contextmanager
    def write(self: LedgerDatabase) -> Iterator[Connection]:
        if next(made) >= after:
            raise Died
        with begin(self) as connection:
            yield connection

    return write
