"""When the next request may leave: the vendor's limit kept, and used up.

Pure arithmetic on a monotonic clock that the caller reads. Two rules hold together: never more than the limit in any
window of 61 s (whether the vendor counts fixed or sliding minutes, and allowing for a second of network jitter), and
an even flow with a small burst, so that a finished job's links are not stuck behind a minute's worth of submits.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass
from email.utils import parsedate_to_datetime

WINDOW_SECONDS = 61.0
MINUTE_SECONDS = 60.0


@dataclass(frozen=True, slots=True)
class Quota:
    """What an answer's headers say about the key's quota."""

    limit: int
    remaining: int
    reset_in_seconds: float


class Pacer:
    """The pace of one API key."""

    def __init__(self, per_minute: int) -> None:
        """Start from a belief; `heard` corrects it."""
        self.limit = per_minute
        self._sent: deque[float] = deque()
        self._next = 0.0
        """When the even flow has the next place; it lags behind the clock by at most a burst."""
        self._closed_until = 0.0
        self._gap = 0.0
        """A wider gap while somebody else uses the same key; 0 when alone."""

    def wait(self, now: float) -> float:
        """Give the seconds until a request may leave; 0 means now."""
        self._forget(now)
        opens = max(self._closed_until, self._next)
        if len(self._sent) >= self.limit:
            opens = max(opens, self._sent[-self.limit] + WINDOW_SECONDS)
        return max(0.0, opens - now)

    def sent(self, now: float) -> None:
        """Take note that a request leaves."""
        self._sent.append(now)
        even = MINUTE_SECONDS / self.limit
        burst = max(1, self.limit // 12)
        gap = max(even, self._gap)
        # With a stranger on the key there is no burst to give away.
        floor = now if self._gap else now - (burst - 1) * even
        self._next = max(self._next, floor) + gap

    def heard(self, quota: Quota, now: float) -> None:
        """Believe the headers: a changed limit, a window that is used up, a stranger on the same key."""
        self._forget(now)
        self.limit = max(1, quota.limit)
        reset = min(max(quota.reset_in_seconds, 0.0), WINDOW_SECONDS)
        if quota.remaining <= 0:
            self._closed_until = max(self._closed_until, now + max(reset, 1.0))
        ours = len(self._sent)
        is_shared = quota.remaining + ours < quota.limit - max(1, quota.limit // 12)
        self._gap = reset / quota.remaining if is_shared and quota.remaining > 0 else 0.0

    def throttled(self, retry_after_seconds: float | None, now: float) -> None:
        """Stay silent as long as a 429 asked for (a minute's share when it did not say)."""
        pause = retry_after_seconds if retry_after_seconds is not None else 5.0
        self._closed_until = max(self._closed_until, now + pause)

    def _forget(self, now: float) -> None:
        while self._sent and self._sent[0] <= now - WINDOW_SECONDS:
            self._sent.popleft()


def read_quota(headers: Mapping[str, str], unix_now: float) -> Quota | None:
    """Give the quota of an answer (header names in lower case), None when it says nothing usable.

    `X-RateLimit-Reset` is a Unix time on the vendor's clock: it is set against the answer's own `Date`, so that our
    clock may be wrong.
    """
    try:
        limit, remaining = int(headers["x-ratelimit-limit"]), int(headers["x-ratelimit-remaining"])
        reset = float(headers["x-ratelimit-reset"])
    except (KeyError, ValueError):
        return None
    return Quota(limit, remaining, reset - _vendor_now(headers, unix_now))


def read_retry_after(headers: Mapping[str, str], unix_now: float) -> float | None:
    """Give the seconds a `Retry-After` asks for, whether it is written as seconds or as a date."""
    text = headers.get("retry-after", "").strip()
    if not text:
        return None
    try:
        return max(0.0, float(text))
    except ValueError:
        pass
    try:
        return max(0.0, parsedate_to_datetime(text).timestamp() - _vendor_now(headers, unix_now))
    except ValueError:
        return None


def _vendor_now(headers: Mapping[str, str], unix_now: float) -> float:
    try:
        return parsedate_to_datetime(headers["date"]).timestamp()
    except (KeyError, ValueError):
        return unix_now
