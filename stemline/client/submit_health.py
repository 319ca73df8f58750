"""Whether the vendor takes submits: one that answers all else and oddly refuses each of them is given up in the end."""

from __future__ import annotations

import logging
import math
from collections.abc import Callable
from datetime import datetime

from stemline.client.circuit import OPENS_AFTER, CircuitBreaker
from stemline.client.retry import RetryPolicy
from stemline.clock import loop_time
from stemline.errors import NoAnswer, StemlineError, SubmitsRefused, Throttled

logger = logging.getLogger(__name__)

SHORT_WAIT_SECONDS = 60.0
"""A vendor that names a longer wait has a reason, such as the day's quota, and is waited for."""


class SubmitHealth:
    """What became of the submits of one key; of an outage of the vendor as a whole, the circuit breaker tells."""

    def __init__(
        self, policy: RetryPolicy, circuit: CircuitBreaker, tell_apart: Callable[[str], str]
    ) -> None:
        """Take submits for taken until they prove not to be."""
        self._policy, self._circuit, self._tell_apart = policy, circuit, tell_apart
        self._outages = circuit.outages
        self._failing_since: float | None = None
        self._failures = 0
        self._reason = ""
        self._is_told = False

    def record(self, sent_at: float, error: StemlineError | None, retry_after: float | None) -> None:
        """Take note of what a submit that left at `sent_at` was answered with."""
        if isinstance(error, Throttled) and (retry_after or 0.0) > SHORT_WAIT_SECONDS:
            return
        if not isinstance(error, Throttled | NoAnswer):
            self.taken()
            return
        if self._failing_since is None or self._outages != self._circuit.outages:
            self._failing_since, self._failures, self._outages = sent_at, 0, self._circuit.outages
        self._failures += 1
        self._reason = error.message.rstrip(".")
        if self._failures >= OPENS_AFTER and not self._is_told and not self._circuit.is_open:
            self._is_told = True
            sentence = (
                f"The provider takes no submit since {datetime.now().astimezone():%H:%M} ({self._reason});"
            )
            logger.warning("%s", self._tell_apart(f"{sentence} trying on. Nothing is paid twice."))

    def taken(self) -> None:
        """Take note that the vendor took a submit, be it to refuse its track."""
        if self._is_told and self._failing_since is not None:
            seconds = math.ceil(loop_time() - self._failing_since)
            logger.warning("%s", self._tell_apart(f"The provider takes submits again, after {seconds} s."))
        self._failing_since, self._failures, self._is_told = None, 0, False

    def require(self) -> None:
        """Raise SubmitsRefused once the vendor has taken none for as long as an outage is waited for."""
        if self._failing_since is None or self._failures < OPENS_AFTER:
            return
        if loop_time() - self._failing_since >= self._policy.outage_seconds:
            raise SubmitsRefused(
                f"The provider takes no submit: {self._reason}.",
                fix="Run again later, or ask the provider: nothing is paid twice.",
            )
