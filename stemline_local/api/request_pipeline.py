"""The pipeline of every API request: rate limit, API key, injected faults, handler, answer in the vendor's shape."""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from email.utils import formatdate
from typing import Any, Protocol

from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, Response
from starlette.routing import Route

from stemline_local.api.request_reading import address_of
from stemline_local.backend import ServiceBackend
from stemline_local.faults import Fault
from stemline_local.jobs.accounts import Account
from stemline_local.rate_limit import RateLimitDecision
from stemline_local.refusal import Refusal, RefusalReason

JsonAnswer = tuple[int, dict[str, Any]]
Handler = Callable[[Request, Account], Awaitable[JsonAnswer]]

ABSURD_SECONDS = 10_000_000
PROXY_PAGE = "<!DOCTYPE html><html><head><title>Access denied</title></head><body>Error 1010</body></html>"

logger = logging.getLogger(__name__)


class DialectVocabulary(Protocol):
    """One vendor's words for what all vendors mean: its error bodies, and its headers of the rate limit."""

    @property
    def foreign_prefix(self) -> str:
        """What the keys of the other vendor begin with: they are unknown here."""
        ...

    def refuse(self, refusal: Refusal, address: str) -> JsonAnswer:
        """Give a refusal in the vendor's shape."""
        ...

    def headers(self, decision: RateLimitDecision) -> dict[str, str]:
        """Give what the vendor tells about the rate limit."""
        ...


@dataclass(frozen=True, slots=True)
class RequestPipeline:
    """The pipeline in front of one dialect's endpoints."""

    backend: ServiceBackend
    vocabulary: DialectVocabulary

    def route(self, method: str, path: str, handler: Handler) -> Route:
        """Give the route of an endpoint that is called with a request and the account of its key."""
        return Route(path, self._wrap(handler), methods=[method])

    def fallback(self, prefix: str) -> Route:
        """Give the route that answers 404 below a prefix where there is no endpoint."""
        methods = ["GET", "POST", "PUT", "PATCH", "DELETE"]
        return Route(f"{prefix}/{{path:path}}", self._wrap(_no_endpoint), methods=methods)

    def _wrap(self, handler: Handler) -> Callable[[Request], Awaitable[Response]]:
        async def endpoint(request: Request) -> Response:
            if self._strikes("html_403", request):
                return HTMLResponse(PROXY_PAGE, 403)
            key = _key_of(request)
            account = self._account(key)
            share = 0.5 if self._strikes("limit_halved", request) else 1.0
            decision = self.backend.limit.take(account.id if account else "", share=share)
            headers = self.vocabulary.headers(decision)
            if fault := self._strikes("too_many_requests", request):
                headers = self._wait_headers(fault, headers)
                throttled = Refusal(RefusalReason.RATE_LIMITED, "Rate limit exceeded.")
                status, body = self.vocabulary.refuse(throttled, address_of(request))
            else:
                status, body = await self._answer(handler, request, _Caller(key, account, decision))
            self.backend.answers[status] += 1
            return JSONResponse(body, status, headers=headers)

        return endpoint

    async def _answer(self, handler: Handler, request: Request, caller: _Caller) -> JsonAnswer:
        try:
            account = caller.authenticate()
            self._raise_injected(request)
            answer = await handler(request, account)
        except Refusal as refusal:
            return self.vocabulary.refuse(refusal, address_of(request))
        except Exception:  # a client expects its vendor's shape of a 500 too
            logger.exception("%s %s failed", request.method, request.url.path)
            return self.vocabulary.refuse(_internal_error(), address_of(request))
        if self._strikes("server_error_after_accept", request):
            return self.vocabulary.refuse(_internal_error(), address_of(request))
        return answer

    def _raise_injected(self, request: Request) -> None:
        if self._strikes("key_revoked", request):
            raise _revoked()
        if self._strikes("server_error", request):
            raise _internal_error()
        if self._strikes("out_of_credits", request):
            raise Refusal(
                RefusalReason.INSUFFICIENT_CREDITS, "Not enough credits for this job.", required_seconds=1
            )

    def _account(self, key: str | None) -> Account | None:
        if key is None or key.startswith(self.vocabulary.foreign_prefix):
            return None
        return self.backend.accounts.find(key)

    def _strikes(self, name: str, request: Request) -> Fault | None:
        return self.backend.faults.strikes(name, f"{request.method} {request.url.path}")

    def _wait_headers(self, fault: Fault, headers: dict[str, str]) -> dict[str, str]:
        """Give the headers of a 429 that a fault sends, not the rate limit."""
        waits = {
            "seconds": f"{fault.seconds:.0f}",
            "date": formatdate(self.backend.clock() + fault.seconds, usegmt=True),
            "absurd": str(ABSURD_SECONDS),
        }
        kept = {name: value for name, value in headers.items() if name != "Retry-After"}
        wait = waits.get(fault.retry_after)
        return {**kept, "Retry-After": wait} if wait else kept


@dataclass(frozen=True, slots=True)
class _Caller:
    key: str | None
    account: Account | None
    decision: RateLimitDecision

    def authenticate(self) -> Account:
        """Give the account of the key.

        Raises:
            Refusal: past the limit, or without a key that counts.
        """
        if not self.decision.is_allowed:
            wait = self.decision.retry_after_seconds
            raise Refusal(RefusalReason.RATE_LIMITED, f"Rate limit exceeded. Try again in {wait} seconds.")
        if self.key is None:
            message = "Missing API key: send the header 'Authorization: Bearer <key>'."
            raise Refusal(RefusalReason.MISSING_KEY, message)
        if self.account is None:
            raise Refusal(RefusalReason.UNKNOWN_KEY, "This API key is not known.")
        if self.account.is_revoked:
            raise _revoked()
        return self.account


def _key_of(request: Request) -> str | None:
    """Give the key of a request; under another scheme than Bearer it is an unknown one."""
    scheme, _, key = request.headers.get("authorization", "").partition(" ")
    if not key.strip():
        return None
    return key.strip() if scheme.lower() == "bearer" else ""


async def _no_endpoint(request: Request, _: Account) -> JsonAnswer:
    raise Refusal(RefusalReason.UNKNOWN_ENDPOINT, f"There is no {request.method} {request.url.path}.")


def _revoked() -> Refusal:
    return Refusal(RefusalReason.REVOKED_KEY, "This API key has been revoked.")


def _internal_error() -> Refusal:
    return Refusal(RefusalReason.BROKEN, "The service has failed.")
