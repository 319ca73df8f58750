"""How often what failed is tried again, and how long the pauses are."""

from __future__ import annotations

import math
import random
from dataclasses import dataclass

from stemline.errors import ProviderGone, StemlineError

SHORTEST_DRAW = 0.5
"""The least share of a pause that is drawn."""
MEAN_DRAW = (SHORTEST_DRAW + 1.0) / 2


@dataclass(frozen=True, slots=True)
class RetryPolicy:
    """How often a request that is safe to repeat is sent, how long the pauses are, and when a vendor is given up."""

    tries: int = 6
    first_seconds: float = 1.0
    longest_seconds: float = 20.0
    outage_seconds: float = 900.0
    """How long a vendor that has answered before may stay dead."""
    first_probe_seconds: float = 2.0
    longest_probe_seconds: float = 60.0

    def pause(self, failures: int) -> float:
        """Give the seconds to wait after so many failures, drawn so that callers do not march in step."""
        return _draw(_doubled(self.first_seconds, failures, self.longest_seconds))

    def probe_pause(self, failures: int) -> float:
        """Give the seconds until the next probe of a dead vendor, after so many that failed."""
        return _draw(_doubled(self.first_probe_seconds, failures + 1, self.longest_probe_seconds))

    @property
    def first_contact_seconds(self) -> float:
        """How long a vendor that never answered is waited for: what one request's tries take."""
        pauses = (
            _doubled(self.first_seconds, failures, self.longest_seconds) for failures in range(1, self.tries)
        )
        return MEAN_DRAW * sum(pauses)


def _doubled(first_seconds: float, times: int, longest_seconds: float) -> float:
    """Give the pause that grew so often, from the first on."""
    return min(math.ldexp(first_seconds, min(times, 60) - 1), longest_seconds)


def _draw(longest_seconds: float) -> float:
    return random.uniform(SHORTEST_DRAW, 1.0) * longest_seconds  # noqa: S311 - jitter


def stops_a_run(error: StemlineError) -> ProviderGone:
    """Give what ends a run where the provider's answer about the account, on which all depends, is of no use."""
    return ProviderGone(error.message, fix="Run again later: what is paid for is not lost.")
