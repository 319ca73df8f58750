"""A process of a simulated year as its host sees it."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field

from stemline.ledger import Ledger


class Killed(BaseException):
    """The process is gone: nothing of ours may catch it."""


@dataclass
class Process:
    """One process; it dies right after so many transactions, where any are given."""

    kind: str
    number: int
    transactions: int | None = None
    is_killed: bool = False
    has_ended: bool = False
    tasks: list[asyncio.Task[None]] = field(default_factory=list)
    ledgers: list[Ledger] = field(default_factory=list)

    @property
    def name(self) -> str:
        """Give the name that its leases carry."""
        return f"{self.kind}-{self.number}"

    def require_life(self) -> None:
        """Raise Killed in a dead process."""
        if self.is_killed:
            raise Killed

    def count_transaction(self) -> None:
        """Count one more; raises Killed right after the last."""
        if self.transactions is None:
            return
        self.transactions -= 1
        if self.transactions <= 0:
            self.is_killed = True
            raise Killed


async def until_done(working: list[asyncio.Task[None]], tasks: list[asyncio.Task[None]]) -> None:
    """Wait for those who work; raises what any task died of, and ends the others."""
    try:
        while not all(task.done() for task in working):
            await asyncio.wait(
                [task for task in tasks if not task.done()], return_when=asyncio.FIRST_COMPLETED
            )
            for task in tasks:
                if task.done():
                    task.result()
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
