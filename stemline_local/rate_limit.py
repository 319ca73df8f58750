"""How many requests a key may make: a window of a minute, sliding or fixed.

The vendors publish a number per minute and not which window they count in (docs: 60 a minute and key), so
both exist. A refused request does not count.
"""

from __future__ import annotations

import math
from collections import defaultdict, deque
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Literal

WINDOW_SECONDS = 60


@dataclass(frozen=True, slots=True)
class RateLimitDecision:
    """Whether one request is allowed, with what the headers tell the client."""

    is_allowed: bool
    limit: int
    remaining: int
    reset_at: int
    """Unix second at which a spent window lets the next request through."""
    retry_after_seconds: int


@dataclass(frozen=True, slots=True)
class RequestRateLimit:
    """Counts the requests of each key. Not for threads: one event loop asks."""

    limit: int
    window: Literal["sliding", "fixed"]
    clock: Callable[[], float]
    _times: defaultdict[str, deque[float]] = field(default_factory=lambda: defaultdict(deque))

    def take(self, key: str, *, share: float = 1.0) -> RateLimitDecision:
        """Count one request of `key` if there is room for it within a share of the limit."""
        limit = max(1, math.floor(self.limit * share))
        now = self.clock()
        times = self._times[key]
        while times and self._counts_until(times[0]) <= now:
            times.popleft()
        is_allowed = len(times) < limit
        if is_allowed:
            times.append(now)
        reset_at = self._counts_until(times[0])
        wait_seconds = max(1, math.ceil(reset_at - now))
        wait_seconds += now + wait_seconds < reset_at  # the difference was rounded
        return RateLimitDecision(
            is_allowed=is_allowed,
            limit=limit,
            remaining=max(0, limit - len(times)),
            reset_at=math.ceil(reset_at),
            retry_after_seconds=min(wait_seconds, WINDOW_SECONDS),
        )

    def _counts_until(self, time: float) -> float:
        """Give the moment from which a request made at `time` counts no more."""
        if self.window == "fixed":
            return (time // WINDOW_SECONDS + 1) * WINDOW_SECONDS
        return time + WINDOW_SECONDS
