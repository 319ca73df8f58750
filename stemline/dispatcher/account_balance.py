"""The provider's balance as a limit: read before the first submit, and again when it may tell more."""

from __future__ import annotations

from dataclasses import replace

from stemline.budget import Limits
from stemline.dispatcher.session import DispatcherSession
from stemline.ledger import BalanceReading


class AccountBalance:
    """What one key's account holds, as it was last read."""

    def __init__(self, session: DispatcherSession) -> None:
        """Read nothing yet."""
        self._session = session
        self.reading: BalanceReading | None = None
        self._in_balance = 0
        self._finished = 0
        """How many jobs were done when it was last read."""

    async def read(self) -> int:
        """Ask for the balance, and check reservations against it from now on."""
        session, ledger = self._session, self._session.ledger
        kind, asked_at = session.parameters.kind, ledger.clock()
        self._finished = session.finished
        credits_left = await session.run_or_stop(session.provider.read_balance())
        self.reading = BalanceReading(credits_left, asked_at)
        unknown = sum(attempt.credits_reserved for attempt in ledger.recovery.unknown(kind))
        self._in_balance = unknown + sum(ledger.credits.disputed(kind).values())
        return credits_left

    async def tells_more(self) -> bool:
        """Read the balance again; give whether it is another one, or shows what has been charged since."""
        before, finished = self.reading, self._finished
        await self.read()
        is_same = before is not None and self.reading is not None and before.credits == self.reading.credits
        return not is_same or self._finished != finished

    def limits(self) -> Limits:
        """Give the limits as they are now, with the balance last read."""
        limits = self._session.parameters.read_limits()
        if self.reading is None:
            return limits
        return replace(
            limits,
            balance=self.reading.credits,
            balance_at=self.reading.at,
            in_balance=self._in_balance,
        )
