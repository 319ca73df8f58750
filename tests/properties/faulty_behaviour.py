"""How a simulated vendor and the network before it go wrong: faults of requests, fates of jobs."""

from __future__ import annotations

import math
from dataclasses import dataclass
from enum import Enum, auto


class RequestFault(Enum):
    """What becomes of one request."""

    REFUSED = auto()
    """No connection: nothing was asked."""
    LOST_BEFORE = auto()
    """It never arrives."""
    LOST_AFTER = auto()
    """It is carried out, and its answer never arrives."""
    LATE = auto()
    """It takes a minute to arrive."""
    ERROR_BEFORE = auto()
    """Status 500, not carried out."""
    ERROR_AFTER = auto()
    """Carried out, and then a gateway's 502 in HTML."""
    GARBLED = auto()
    """Carried out and answered with half a body."""
    THROTTLED = auto()
    """Status 429, with seconds to wait."""
    THROTTLED_BY_DATE = auto()
    THROTTLED_SILENTLY = auto()
    """Status 429 without a word on how long."""
    REVOKED = auto()
    """Status 401: the key is refused."""
    POOR = auto()
    """Status 402: no credits are left."""
    UNWANTED = auto()
    """Status 422: this track is not taken."""


THROTTLED = {RequestFault.THROTTLED, RequestFault.THROTTLED_BY_DATE, RequestFault.THROTTLED_SILENTLY}
ERRORS = {
    RequestFault.ERROR_BEFORE: (500, "INTERNAL_ERROR"),
    RequestFault.REVOKED: (401, "API_KEY_REVOKED"),
    RequestFault.POOR: (402, "INSUFFICIENT_CREDITS"),
    RequestFault.UNWANTED: (422, "UNSUPPORTED_FORMAT"),
}


class JobFate(Enum):
    """What becomes of one job."""

    DONE = auto()
    FAILS = auto()
    STUCK = auto()
    """It is not done before all faults are over."""
    EXPIRES = auto()
    """Its outputs are deleted soon after it is done."""
    HIDDEN = auto()
    """The list shows it late."""


@dataclass(frozen=True)
class FaultSpan:
    """A fault that meets so many requests in a row."""

    first: int
    count: int
    fault: RequestFault


@dataclass(frozen=True)
class FaultyBehaviour:
    """How the vendor behaves."""

    faults: tuple[FaultSpan, ...] = ()
    fates: tuple[tuple[JobFate, ...], ...] = ()
    """By track: the fates of its jobs, first to last; done when none is left."""
    rates: tuple[tuple[float, int], ...] = ()
    """From which time on how many requests a minute are granted to a key."""
    retry_after: int = 7
    takes_when_made: bool = True
    """Whether the balance falls when a job is made, or when it is done."""
    refunds: bool = True
    """Whether a failed job is free."""
    remembers_seconds: float = math.inf
    """For how long the list shows a job."""
    seed: int = 0
