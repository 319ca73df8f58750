"""When the next request may leave: the vendor's limit kept, and used up.

Pure arithmetic on a monotonic clock that the caller reads. Alone on a key, two rules hold together: never more than the
limit in any window of 61 s (whether the vendor counts fixed or sliding minutes, and allowing for a second of network
jitter), and an even flow with a small burst, so that a finished job's links are not stuck behind a minute's submits.
Other traffic on the same key shows in the headers: then there is no burst, what it uses is left to it, and nothing
leaves that may find the window used up.
"""

from __future__ import annotations

import math
from bisect import bisect_left, bisect_right, insort
from collections.abc import Mapping
from dataclasses import dataclass
from email.utils import parsedate_to_datetime

MINUTE_SECONDS = 60.0
WINDOW_SECONDS = 61.0
MEMORY_SECONDS = 300.0
"""How long our own requests are remembered: an answer may take minutes and still tells about its window."""
EVEN_SECONDS = 15.0
"""How long after a failure there is no burst: a vendor that has just come back is to see an even flow."""
LONGEST_PAUSE_SECONDS = 3600.0
FIRST_BACKOFF_SECONDS = 5.0


@dataclass(frozen=True, slots=True)
class Quota:
    """What an answer's headers say about the key's quota."""

    limit: int
    remaining: int
    reset_in_seconds: float


@dataclass(frozen=True, slots=True)
class _WindowReading:
    """What the newest answer says about the vendor's window."""

    sent_at: float
    remaining: int
    resets_at: float


class Pacer:
    """The pace of one API key."""

    def __init__(self, per_minute: int, most: float = 1.0) -> None:
        """Start from a belief, which `update` corrects; `most` is the share of it that is used, whatever it is."""
        self.limit = per_minute
        self._most = most
        self._sent: list[float] = []
        self._refused: list[float] = []
        """Those of them that were answered with 429: vendors need not count these."""
        self._next = -math.inf
        """When the even flow has the next place; it lags behind the clock by at most a burst."""
        self._closed_until = -math.inf
        self._strikes = 0
        self._reading: _WindowReading | None = None
        self._even_until = -math.inf
        """Until then there is no burst."""
        self._other_traffic = _OtherTraffic()

    def wait(self, now: float) -> float:
        """Give the seconds until a request may leave; 0 means now."""
        opens = max(self._closed_until, self._next)
        share = self._share(now)
        if len(self._sent) >= share:
            opens = max(opens, self._sent[-share] + WINDOW_SECONDS)
        if self._reading is not None and self._is_used_up(self._reading, now):
            opens = max(opens, self._reading.resets_at)
        return max(0.0, opens - now)

    def sent(self, now: float) -> None:
        """Take note that a request leaves."""
        for times in (self._sent, self._refused):
            del times[: bisect_left(times, now - MEMORY_SECONDS)]
        self._sent.append(now)
        share = self._share(now)
        even = MINUTE_SECONDS / share
        # A burst is for a key that is known to be ours alone, with a limit that is known.
        is_alone = self._reading is not None and not self._other_traffic.peak(now)
        burst = max(1, share // 12) if is_alone and now >= self._even_until else 1
        self._next = max(self._next, now - (burst - 1) * even) + even

    def sent_last_minute(self, now: float) -> int:
        """Give how many requests left within the last minute."""
        return _count_since(self._sent, now - MINUTE_SECONDS)

    def suspend_burst(self, now: float) -> None:
        """Drop the burst that is saved up, and save none for a while: a vendor in trouble is sent one by one."""
        self._next = max(self._next, now)
        self._even_until = now + EVEN_SECONDS

    def correct_sent(self, noted: float, now: float) -> None:
        """Correct when a request left: committing its intent took a while, and the vendor counts from its arrival."""
        self._sent.remove(noted)
        insort(self._sent, now)

    def update(self, quota: Quota, sent_at: float, now: float) -> None:
        """Believe the headers of the answer to the request that left at `sent_at`.

        They tell of a changed limit, and of other traffic on the same key: of requests that are not ours. Answers
        that overtook each other are told apart by when they were asked for; only the newest counts.
        """
        if self._reading is not None and sent_at < self._reading.sent_at:
            return
        self.limit = max(1, quota.limit)
        remaining = max(0, quota.remaining)
        is_plausible = -WINDOW_SECONDS < quota.reset_in_seconds <= WINDOW_SECONDS
        # One second more: the header counts whole ones, and a request may arrive sooner than expected.
        reset = max(0.0, quota.reset_in_seconds) + 1 if is_plausible else WINDOW_SECONDS
        self._reading = _WindowReading(sent_at, remaining, now + reset)
        ours = _count_since(self._sent, sent_at - WINDOW_SECONDS)
        ours -= _count_since(self._refused, sent_at - WINDOW_SECONDS)
        self._other_traffic.record(self.limit - remaining - ours, now)

    def throttled(self, retry_after_seconds: float | None, sent_at: float, now: float) -> None:
        """Stay silent as long as the 429 to the request of `sent_at` asks for; longer each time if it does not say.

        To be told before the headers of the same answer are taken by `update`.
        """
        insort(self._refused, sent_at)
        if now >= self._closed_until + 2 * WINDOW_SECONDS:
            self._strikes = 0
        if now >= self._closed_until:  # else it answers a request that left before the first 429 came back
            self._strikes += 1
        pause = retry_after_seconds or 0.0
        if not pause >= 1:  # absent, zero, or not a number
            pause = min(FIRST_BACKOFF_SECONDS * 2.0 ** min(self._strikes - 1, 10), MINUTE_SECONDS)
        self._closed_until = max(self._closed_until, now + min(pause, LONGEST_PAUSE_SECONDS))

    def _share(self, now: float) -> int:
        """Give how many requests a minute are ours to send."""
        other = self._other_traffic.peak(now)
        reserve = 2 + other // 10 if other else 0
        return max(1, min(self.limit - other - reserve, math.floor(self._most * self.limit)))

    def _is_used_up(self, reading: _WindowReading, now: float) -> bool:
        """Tell whether a request might find nothing left in a window that somebody else draws from, too."""
        other = self._other_traffic.peak(now)
        if not other or now >= reading.resets_at:
            return False
        ours_since = len(self._sent) - bisect_right(self._sent, reading.sent_at)
        theirs_since = 1.5 * other * (now - reading.sent_at + 1) / MINUTE_SECONDS
        return reading.remaining - ours_since - theirs_since < 1


def _count_since(times: list[float], begin: float) -> int:
    return len(times) - bisect_left(times, begin)


class _OtherTraffic:
    """The most requests that a window held and that were not ours: in this minute or in the one before."""

    def __init__(self) -> None:
        self._until = -math.inf
        self._before = self._present = 0

    def record(self, requests: int, now: float) -> None:
        """Take note that at least so many requests in the window were not ours."""
        self._roll(now)
        self._present = max(self._present, requests)

    def peak(self, now: float) -> int:
        """Give how many requests a minute to leave room for."""
        self._roll(now)
        return max(self._before, self._present)

    def _roll(self, now: float) -> None:
        if now < self._until:
            return
        is_next = now < self._until + WINDOW_SECONDS
        self._before, self._present = (self._present if is_next else 0), 0
        self._until = now + WINDOW_SECONDS


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
    try:
        seconds = float(text)
    except ValueError:
        date = _unix_time(text)
        return None if date is None else max(0.0, date - _vendor_now(headers, unix_now))
    return None if math.isnan(seconds) else max(0.0, seconds)


def _vendor_now(headers: Mapping[str, str], unix_now: float) -> float:
    date = _unix_time(headers.get("date", ""))
    return unix_now if date is None else date


def _unix_time(text: str) -> float | None:
    try:
        return parsedate_to_datetime(text).timestamp()
    except (ValueError, OverflowError):
        return None
