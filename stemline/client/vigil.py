"""The watch over a vendor: what each answer says about it, and a question of our own while it is dead."""

from __future__ import annotations

import asyncio
import logging
import math
from collections.abc import Callable, Coroutine
from contextlib import suppress
from datetime import datetime, timedelta

from stemline.circuit import Circuit
from stemline.client.trouble import outage
from stemline.clock import loop_time
from stemline.errors import StemlineError, Throttled
from stemline.pacing import Pacer
from stemline.wire import Answer

logger = logging.getLogger(__name__)


class Vigil:
    """Opens and closes the circuit by what comes back, and says so."""

    def __init__(
        self, circuit: Circuit, pacer: Pacer, ask: Callable[[], Coroutine[None, None, object]]
    ) -> None:
        """Watch one key; `ask` is a question that costs nothing and that no single job can spoil."""
        self._circuit, self._pacer, self._ask = circuit, pacer, ask
        self._asking: asyncio.Task[None] | None = None

    def hear(self, sent_at: float, answer: Answer | None, error: StemlineError | None) -> None:
        """Take note of what came back for the request that left at `sent_at`."""
        if isinstance(error, Throttled):
            return  # it may be a gateway's: neither life nor death
        circuit, now, since = self._circuit, loop_time(), self._circuit.since
        was_open = circuit.is_open
        reason = outage(answer, error)
        if reason is None:
            circuit.answered(now)
            if was_open and since is not None:
                self._close(now - since)
        else:
            circuit.failed(sent_at, now, reason)
            if circuit.is_open and not was_open:
                self._open(now)

    async def end(self) -> None:
        """Ask nothing more."""
        if self._asking is not None:
            self._asking.cancel()
            await asyncio.gather(self._asking, return_exceptions=True)

    def _open(self, now: float) -> None:
        silence = timedelta(seconds=now - (self._circuit.since or now))
        logger.warning(
            "The provider has not answered since %s; asking again in %d s, nothing is lost.",
            f"{datetime.now().astimezone() - silence:%H:%M}",
            math.ceil(self._circuit.wait(now)),
        )
        self._asking = asyncio.create_task(self._keep_asking())

    def _close(self, seconds: float) -> None:
        logger.warning("The provider answers again, after %d s.", math.ceil(seconds))
        self._pacer.begin_evenly(loop_time())
        if self._asking is not None and self._asking is not asyncio.current_task():
            self._asking.cancel()

    async def _keep_asking(self) -> None:
        with suppress(StemlineError):  # whoever waits for an answer of their own is told
            await self._ask()
