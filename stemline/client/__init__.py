"""The only sender of requests to a provider: it paces, sends, classifies and repeats what is safe to repeat."""

from stemline.circuit import Circuit, Patience
from stemline.client.access import Access, Traffic
from stemline.client.sender import Client
from stemline.client.turnstile import Lane, Turnstile

__all__ = ["Access", "Circuit", "Client", "Lane", "Patience", "Traffic", "Turnstile"]
