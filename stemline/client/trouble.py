"""What it means when no answer came, or none that the vendor can have given."""

from __future__ import annotations

import httpx

from stemline.circuit import Circuit
from stemline.errors import (
    NoAnswer,
    ProviderDown,
    ProviderGone,
    RetryableError,
    StemlineError,
    TransferFailed,
)
from stemline.wire import Answer, Request, parse_object


def down(request: Request, error: httpx.HTTPError | httpx.InvalidURL) -> RetryableError:
    """The connection was never made: nothing was asked, so anything may be repeated."""
    where = "The provider" if isinstance(error, httpx.InvalidURL) else error.request.url.host
    kind = TransferFailed if request.is_transfer else ProviderDown
    return kind(f"{where} cannot be reached: {str(error) or type(error).__name__}.")


def broken(request: Request, error: httpx.HTTPError) -> RetryableError:
    """The connection broke with the request under way: only a paid one must not be repeated."""
    sentence = (
        f"{request.method} {request.url.split('?')[0]} broke off: {str(error) or type(error).__name__}."
    )
    if request.is_transfer:
        return TransferFailed(sentence)
    return NoAnswer(sentence) if request.is_paid else ProviderDown(sentence)


def gone(circuit: Circuit) -> ProviderGone:
    """Nobody answers, and there is no hope left."""
    fix = "Check provider.base_url and the network, then run again."
    if circuit.has_answered:
        fix = "Run again later: what is paid for is not lost."
    return ProviderGone(circuit.reason, fix=fix)


def outage(answer: Answer | None, error: StemlineError | None) -> str | None:
    """Give what speaks for a dead vendor: nobody answered, or something that stands before it did. Else None."""
    if not isinstance(error, ProviderDown | NoAnswer):
        return None
    if answer is not None and answer.status // 100 == 4 and parse_object(answer.body) is not None:
        return None  # the vendor's own word; a 4xx in HTML is a proxy's that found no vendor
    return error.message
