"""The only sender of requests to a provider: it paces, sends, classifies and repeats what is safe to repeat."""

from stemline.client.circuit import CircuitBreaker
from stemline.client.client import Client
from stemline.client.pacing import Pacer
from stemline.client.retry import RetryPolicy, stops_a_run
from stemline.client.scheduler import Lane, RequestScheduler
from stemline.client.transport import Access, Traffic

__all__ = [
    "Access",
    "CircuitBreaker",
    "Client",
    "Lane",
    "Pacer",
    "RequestScheduler",
    "RetryPolicy",
    "Traffic",
    "stops_a_run",
]
