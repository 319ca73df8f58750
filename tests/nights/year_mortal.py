"""A process of a simulated year as its host sees it: what it is about, and when it dies."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field

from stemline.errors import StemlineError
from stemline.ledger import Ledger
from stemline.run.selection import Result


class Killed(BaseException):
    """The process is gone: nothing of ours may catch it."""


@dataclass
class Process:
    """One process, and when it dies."""

    name: str
    transactions: int | None = None
    """It dies right after so many; None: it does not."""
    objects: int | None = None
    """It dies at its n-th write into the dataset."""
    seconds: float | None = None
    """It dies after so many seconds of requests."""
    interrupted_after: float | None = None
    """Somebody presses Ctrl-C after so many."""
    is_killed: bool = False
    tasks: set[asyncio.Task] = field(default_factory=set)
    dispatching: list[asyncio.Task] = field(default_factory=list)
    run_id: str = ""
    result: Result | None = None
    error: StemlineError | None = None
    ledgers: list[Ledger] = field(default_factory=list)

    @property
    def exit_code(self) -> int | None:
        """What a shell would see; None for one that was killed."""
        if self.is_killed:
            return None
        if self.error is not None:
            return self.error.exit_code
        return self.result.exit_code if self.result else None

    def kill(self) -> None:
        """End it as SIGKILL would: nothing of it does anything any more."""
        self.is_killed = True
        for task in self.dispatching:
            task.cancel()

    def require_life(self) -> None:
        """Raise Killed in a dead process."""
        if self.is_killed:
            raise Killed

    def count(self, name: str) -> None:
        """Count a transaction or an object against what it may do."""
        left = getattr(self, name)
        if left is None:
            return
        setattr(self, name, left - 1)
        if left <= 1:
            self.kill()
            raise Killed
