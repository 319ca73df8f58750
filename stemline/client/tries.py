"""How often one request failed, and whether it is sent once more."""

from __future__ import annotations

from stemline.circuit import Circuit, Patience
from stemline.client.trouble import gone
from stemline.errors import ProviderDown, StemlineError, TransferFailed


class Tries:
    """One request's failures; those that an outage accounts for do not count against it."""

    def __init__(self, patience: Patience, circuit: Circuit) -> None:
        """Begin before the first try."""
        self.failures = 0
        """In all, whoever is to blame."""
        self._own = 0
        self._patience, self._circuit = patience, circuit
        self._outages = circuit.outages

    def fail(self, error: StemlineError) -> float:
        """Give the seconds to wait before the next try; raises the error when there is to be none.

        Raises ProviderGone in place of the last failure when the provider has never answered anybody.
        """
        if not isinstance(error, ProviderDown | TransferFailed):
            raise error
        self.failures += 1
        if isinstance(error, ProviderDown) and self._circuit.is_open:
            return 0.0  # the turnstile holds it until the vendor is back
        if self._outages != self._circuit.outages:  # what failed before belongs to the outage
            self._own, self._outages = 0, self._circuit.outages
        self._own += 1
        if self._own < self._patience.tries:
            return self._patience.pause(self._own)
        if isinstance(error, TransferFailed) or self._circuit.has_answered:
            raise error
        raise gone(self._circuit)
