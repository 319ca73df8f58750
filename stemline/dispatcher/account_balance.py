"""The provider's balance as a limit: read before the first submit, and again when it may tell more."""

from __future__ import annotations

from dataclasses import replace

from stemline.budget import Limits, remaining
from stemline.dispatcher.session import DispatcherSession
from stemline.ledger import BalanceReading


class AccountBalance:
    """What one key's account holds, as it was last read."""

    def __init__(self, session: DispatcherSession) -> None:
        """Read nothing yet."""
        self._session = session
        self.reading: BalanceReading | None = None
        self._in_balance = 0

    async def read(self) -> int:
        """Ask for the balance, and check reservations against it from now on."""
        session, ledger = self._session, self._session.ledger
        kind, asked_at = session.parameters.kind, ledger.clock()
        credits_left = await session.run_or_stop(session.provider.read_balance())
        self.reading = BalanceReading(credits_left, asked_at)
        self._in_balance = ledger.balances.felt_before(kind)
        return credits_left

    async def covers(self, amount: int) -> bool:
        """Read the balance again; give whether so many more credits fit it, but for what others have taken since."""
        await self.read()
        limits, session = self.limits(), self._session
        spending = session.ledger.credits.spending(session.parameters.run_id, limits)
        at_rest = replace(spending, not_in_balance=limits.in_balance)
        return (remaining(limits, at_rest) or 0) >= amount

    @property
    def is_moving(self) -> bool:
        """Whether others have credits reserved that may be of the same account, and will be charged or free soon."""
        session = self._session
        return session.ledger.balances.is_moving(session.parameters.kind, session.key.key_id)

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
