"""The vendor's minute: how many requests a key may make in it, and what the headers say of that."""

from __future__ import annotations

import math
from collections import deque
from dataclasses import dataclass, field
from email.utils import formatdate
from typing import Literal

WINDOW_SECONDS = 60.0


@dataclass
class RateWindow:
    """A key's window, fixed or sliding. What it refuses does not count."""

    limit: int
    kind: Literal["fixed", "sliding"]
    _times: deque[float] = field(default_factory=deque)

    def take(self, unix_now: float) -> tuple[bool, dict[str, str]]:
        """Count one request if there is room; give whether there was, and the answer's headers."""
        while self._times and self._leaves(self._times[0]) <= unix_now:
            self._times.popleft()
        is_allowed = len(self._times) < self.limit
        if is_allowed:
            self._times.append(unix_now)
        resets = self._leaves(self._times[0])
        headers = {
            "Date": formatdate(unix_now, usegmt=True),
            "X-RateLimit-Limit": str(self.limit),
            "X-RateLimit-Remaining": str(self.limit - len(self._times)),
            "X-RateLimit-Reset": str(math.ceil(resets)),
        }
        if not is_allowed:
            headers["Retry-After"] = str(math.ceil(resets - unix_now))
        return is_allowed, headers

    def _leaves(self, time: float) -> float:
        """Give when a request made at `time` counts no more."""
        if self.kind == "sliding":
            return time + WINDOW_SECONDS
        return (time // WINDOW_SECONDS + 1) * WINDOW_SECONDS
