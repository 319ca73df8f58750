"""Whether the vendor is there: opened by failures in a row, probed ever less often, closed by any answer.

Pure arithmetic on a monotonic clock that the caller reads. One circuit serves all requests of a key: what one of them
found out, the others need not find out again.
"""

from __future__ import annotations

import math
import random
from dataclasses import dataclass

OPENS_AFTER = 3
"""So many failures in a row are no chance: a vendor that only stumbles answers somebody in between."""
SHORTEST_DRAW = 0.5
"""The least share of a pause that is drawn."""
MEAN_DRAW = (SHORTEST_DRAW + 1.0) / 2


@dataclass(frozen=True, slots=True)
class Patience:
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
        """Give the seconds until a dead vendor is asked once more, after so many such questions."""
        return _draw(_doubled(self.first_probe_seconds, failures + 1, self.longest_probe_seconds))

    @property
    def introduction_seconds(self) -> float:
        """How long a vendor that never answered is waited for: what one request's tries take."""
        pauses = (
            _doubled(self.first_seconds, failures, self.longest_seconds) for failures in range(1, self.tries)
        )
        return MEAN_DRAW * sum(pauses)


class Circuit:
    """What the answers and failures of one key's requests say about the vendor."""

    def __init__(self, patience: Patience) -> None:
        """Believe in the vendor until it proves to be dead."""
        self.since: float | None = None
        """When the first of the requests left that failed in a row; None when the last one was answered."""
        self.reason = ""
        """What was last found in place of an answer."""
        self.outages = 0
        """How many outages are over. Without a failed probe it was none: the requests were to blame, not the vendor."""
        self._patience = patience
        self._failures = 0
        self._failed_probes = 0
        self._answered_at = -math.inf
        self._next_probe = math.inf
        self._probe: float | None = None
        """When the probe left that is still under way."""
        self._is_hopeless = False

    @property
    def is_open(self) -> bool:
        """Whether the vendor is taken for dead: nothing leaves but one probe at a time."""
        return self._failures >= OPENS_AFTER

    @property
    def has_answered(self) -> bool:
        """Whether the vendor ever answered: a wrong address never does."""
        return self._answered_at > -math.inf

    @property
    def gives_up_at(self) -> float:
        """When there is no more hope for the vendor; infinite as long as it is not dead."""
        if not self.is_open or self.since is None:
            return math.inf
        if self._is_hopeless:
            return self.since
        patience = self._patience
        return self.since + (patience.outage_seconds if self.has_answered else patience.introduction_seconds)

    def lose_hope(self) -> None:
        """Give a dead vendor up at once, now or when it dies."""
        self._is_hopeless = True

    def wait(self, now: float) -> float:
        """Give the seconds until a request may leave: 0 means now, infinity when the probe is to come back first."""
        if not self.is_open:
            return 0.0
        return math.inf if self._probe is not None else max(0.0, self._next_probe - now)

    def left(self, now: float) -> None:
        """Take note that a request leaves: while the circuit is open, it is the probe."""
        if self.is_open:
            self._probe = now
            self._plan_probe(now)

    def came_back(self, sent_at: float) -> None:
        """Take note that a request is not under way any more, whatever became of it."""
        if sent_at == self._probe:
            self._probe = None

    def failed(self, sent_at: float, now: float, reason: str) -> None:
        """Take note that the request of `sent_at` found nobody, or nobody able to answer."""
        if sent_at < self._answered_at:
            return  # it left before the last answer came: it tells of the time before
        self.reason = reason
        self.since = sent_at if self.since is None else min(self.since, sent_at)
        self._failures += 1
        if self._failures == OPENS_AFTER or sent_at == self._probe:
            self._failed_probes += sent_at == self._probe
            self._plan_probe(now)

    def answered(self, now: float) -> None:
        """Take note that the vendor answered a request, be it with a refusal."""
        self.outages += self._failed_probes > 0
        self.since, self._probe = None, None
        self._failures = self._failed_probes = 0
        self._answered_at = now

    def _plan_probe(self, now: float) -> None:
        self._next_probe = now + self._patience.probe_pause(self._failed_probes)


def _doubled(first_seconds: float, times: int, longest_seconds: float) -> float:
    """Give the pause that grew so often, from the first on."""
    return min(math.ldexp(first_seconds, min(times, 60) - 1), longest_seconds)


def _draw(longest_seconds: float) -> float:
    return random.uniform(SHORTEST_DRAW, 1.0) * longest_seconds  # noqa: S311 - jitter
