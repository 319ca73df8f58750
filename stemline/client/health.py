"""Whether the vendor is alive: what each answer says about it, and a probe of our own while it is dead."""

from __future__ import annotations

import asyncio
import logging
import math
from collections.abc import Callable, Coroutine
from contextlib import suppress
from datetime import datetime, timedelta

from stemline.client.circuit import CircuitBreaker
from stemline.client.pacing import Pacer
from stemline.clock import loop_time
from stemline.errors import NoAnswer, ProviderDown, StemlineError, Throttled
from stemline.protocol import HttpAnswer
from stemline.reading import parse_object

logger = logging.getLogger(__name__)


class HealthProbe:
    """Opens and closes the circuit by what comes back, and says so."""

    def __init__(
        self,
        circuit: CircuitBreaker,
        pacer: Pacer,
        probe: Callable[[], Coroutine[None, None, object]],
        tell_apart: Callable[[str], str],
    ) -> None:
        """Follow one key; `probe` is a request that costs nothing and that no single job can spoil.

        `tell_apart` has a sentence say which of several providers it is about.
        """
        self._tell_apart = tell_apart
        self._circuit, self._pacer, self._probe = circuit, pacer, probe
        self._probing: asyncio.Task[None] | None = None

    def record(self, sent_at: float, answer: HttpAnswer | None, error: StemlineError | None) -> None:
        """Take note of what came back for the request that left at `sent_at`."""
        if isinstance(error, Throttled):
            return  # it may be a gateway's: neither life nor death
        circuit, now, failing_since = self._circuit, loop_time(), self._circuit.failing_since
        was_open = circuit.is_open
        reason = _outage(answer, error)
        if reason is None:
            circuit.answered(now)
            if was_open and failing_since is not None:
                self._close(now - failing_since)
        else:
            circuit.failed(sent_at, now, reason)
            if circuit.is_open and not was_open:
                self._open(now)
        if reason is not None or failing_since is not None:
            # Three failures open the circuit, but two of them are pauses enough to save up a burst.
            self._pacer.suspend_burst(now)

    async def stop(self) -> None:
        """Probe no more."""
        if self._probing is not None:
            self._probing.cancel()
            await asyncio.gather(self._probing, return_exceptions=True)

    def _open(self, now: float) -> None:
        silence = timedelta(seconds=now - (self._circuit.failing_since or now))
        since = f"{datetime.now().astimezone() - silence:%H:%M}"
        seconds, reason = math.ceil(self._circuit.wait(now)), self._circuit.reason.rstrip(".")
        sentence = f"The provider is out of reach since {since} ({reason}); asking again in {seconds} s."
        logger.warning("%s", self._tell_apart(f"{sentence} Nothing is lost."))
        self._probing = asyncio.create_task(self._run_probe())

    def _close(self, seconds: float) -> None:
        logger.warning("%s", self._tell_apart(f"The provider answers again, after {math.ceil(seconds)} s."))
        if self._probing is not None and self._probing is not asyncio.current_task():
            self._probing.cancel()

    async def _run_probe(self) -> None:
        with suppress(StemlineError):  # whoever waits for an answer of their own is told
            await self._probe()


def _outage(answer: HttpAnswer | None, error: StemlineError | None) -> str | None:
    """Give what shows that the vendor is down: nobody answered, or something that stands before it did. Else None."""
    if not isinstance(error, ProviderDown | NoAnswer):
        return None
    if answer is not None and answer.status // 100 == 4 and parse_object(answer.body) is not None:
        return None  # the vendor's own word; a 4xx in HTML is a proxy's that found no vendor
    return error.message
