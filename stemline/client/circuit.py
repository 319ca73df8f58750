"""Whether the vendor is there: opened by failures in a row, probed ever less often, closed by any answer.

Pure arithmetic on a monotonic clock that the caller reads. One circuit breaker serves all requests of a key: what one
of them found out, the rest need not find out again.
"""

from __future__ import annotations

import math

from stemline.client.retry import RetryPolicy
from stemline.errors import ProviderDown, ProviderGone, StemlineError, TransferFailed

OPENS_AFTER = 3
"""So many failures in a row are no chance: a vendor that only stumbles answers somebody in between."""


class CircuitBreaker:
    """What the answers and failures of one key's requests say about the vendor."""

    def __init__(self, policy: RetryPolicy) -> None:
        """Take the vendor for alive until it proves to be dead."""
        self.failing_since: float | None = None
        """When the first of the requests left that failed in a row; None when the last one was answered."""
        self.reason = ""
        """What was last found in place of an answer."""
        self.outages = 0
        """How many outages are over. Without a failed probe it was none: the requests were to blame, not the vendor."""
        self._policy = policy
        self._failures = 0
        self._failed_probes = 0
        self._answered_at = -math.inf
        self._next_probe = math.inf
        self._probe: float | None = None
        """When the probe left that is still under way."""
        self._is_given_up = False

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
        """When a dead vendor is waited for no longer; infinite as long as it is not dead."""
        if not self.is_open or self.failing_since is None:
            return math.inf
        if self._is_given_up:
            return self.failing_since
        policy = self._policy
        return self.failing_since + (
            policy.outage_seconds if self.has_answered else policy.first_contact_seconds
        )

    def give_up(self) -> None:
        """Give a dead vendor up at once, now or when it dies."""
        self._is_given_up = True

    def gone(self) -> ProviderGone:
        """Give the error that says that nobody answers, and what helps."""
        fix = "Check provider.base_url and the network, then run again."
        if self.has_answered:
            fix = "Run again later: what is paid for is not lost."
        return ProviderGone(self.reason, fix=fix)

    def wait(self, now: float) -> float:
        """Give the seconds until a request may leave: 0 means now, infinity when the probe is to come back first."""
        if not self.is_open:
            return 0.0
        return math.inf if self._probe is not None else max(0.0, self._next_probe - now)

    def sent(self, now: float) -> None:
        """Take note that a request leaves: while the circuit is open, it is the probe."""
        if self.is_open:
            self._probe = now
            self._plan_probe(now)

    def returned(self, sent_at: float) -> None:
        """Take note that a request is not under way any more, whatever became of it."""
        if sent_at == self._probe:
            self._probe = None

    def failed(self, sent_at: float, now: float, reason: str) -> None:
        """Take note that the request of `sent_at` found nobody, or nobody able to answer."""
        if sent_at < self._answered_at:
            return  # it left before the last answer came: it tells of the time before
        self.reason = reason
        self.failing_since = sent_at if self.failing_since is None else min(self.failing_since, sent_at)
        self._failures += 1
        if self._failures == OPENS_AFTER or sent_at == self._probe:
            self._failed_probes += sent_at == self._probe
            self._plan_probe(now)

    def answered(self, now: float) -> None:
        """Take note that the vendor answered a request, be it with a refusal."""
        self.outages += self._failed_probes > 0
        self.failing_since, self._probe = None, None
        self._failures = self._failed_probes = 0
        self._answered_at = now

    def _plan_probe(self, now: float) -> None:
        self._next_probe = now + self._policy.probe_pause(self._failed_probes)


class RequestRetries:
    """One request's failures; those that an outage accounts for do not count against it."""

    def __init__(self, policy: RetryPolicy, circuit: CircuitBreaker) -> None:
        """Begin before the first try."""
        self.failures = 0
        """In all, whoever is to blame."""
        self._own_failures = 0
        self._policy, self._circuit = policy, circuit
        self._outages = circuit.outages

    def count(self, error: StemlineError) -> float:
        """Give the seconds to wait before the next try; raises the error when there is to be none.

        Raises ProviderGone in place of the last failure when the provider has never answered anybody.
        """
        if not isinstance(error, ProviderDown | TransferFailed):
            raise error
        self.failures += 1
        if isinstance(error, ProviderDown) and self._circuit.is_open:
            return 0.0  # the scheduler holds it until the vendor is back
        if self._outages != self._circuit.outages:  # what failed before belongs to the outage
            self._own_failures, self._outages = 0, self._circuit.outages
        self._own_failures += 1
        if self._own_failures < self._policy.tries:
            return self._policy.pause(self._own_failures)
        if isinstance(error, TransferFailed) or self._circuit.has_answered:
            raise error
        raise self._circuit.gone()
