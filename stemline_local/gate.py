"""What every request of every dialect goes through: counted, let in or not, carried out, answered in its shape."""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from email.utils import formatdate
from typing import Any, Protocol

from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, Response
from starlette.routing import Route

from stemline_local.backend import Backend
from stemline_local.credits import Account
from stemline_local.fault import Fault
from stemline_local.ratelimit import Grant
from stemline_local.refusal import Reason, Refusal
from stemline_local.wire import address_of

Answer = tuple[int, dict[str, Any]]
Handler = Callable[[Request, Account], Awaitable[Answer]]

ABSURD_SECONDS = 10_000_000
PROXY_PAGE = "<!DOCTYPE html><html><head><title>Access denied</title></head><body>Error 1010</body></html>"

logger = logging.getLogger(__name__)


class Dialect(Protocol):
    """How one vendor says what all of them mean."""

    @property
    def foreign_prefix(self) -> str:
        """What the keys of another vendor begin with: none such is let in."""
        ...

    def refuse(self, refusal: Refusal, address: str) -> Answer:
        """Give a refusal in the vendor's shape."""
        ...

    def headers(self, grant: Grant) -> dict[str, str]:
        """Give what the vendor tells about the rate limit."""
        ...


@dataclass(frozen=True, slots=True)
class Gate:
    """The entrance of one dialect."""

    backend: Backend
    dialect: Dialect

    def route(self, method: str, path: str, handler: Handler) -> Route:
        """Give an endpoint."""
        return Route(path, self._guarded(handler), methods=[method])

    def fallback(self, prefix: str) -> Route:
        """Give what answers below a prefix where there is no endpoint."""
        methods = ["GET", "POST", "PUT", "PATCH", "DELETE"]
        return Route(f"{prefix}/{{path:path}}", self._guarded(_no_endpoint), methods=methods)

    def _guarded(self, handler: Handler) -> Callable[[Request], Awaitable[Response]]:
        async def endpoint(request: Request) -> Response:
            if self._strikes("html_403", request):
                return HTMLResponse(PROXY_PAGE, 403)
            key = _key_of(request)
            account = self._account(key)
            share = 0.5 if self._strikes("limit_halved", request) else 1.0
            grant = self.backend.limit.take(account.id if account else "", share=share)
            headers = self.dialect.headers(grant)
            if fault := self._strikes("too_many_requests", request):
                headers = self._told_to_wait(fault, headers)
                throttled = Refusal(Reason.RATE_LIMITED, "Rate limit exceeded.")
                status, body = self.dialect.refuse(throttled, address_of(request))
            else:
                status, body = await self._answer(handler, request, _Caller(key, account, grant))
            return JSONResponse(body, status, headers=headers)

        return endpoint

    async def _answer(self, handler: Handler, request: Request, caller: _Caller) -> Answer:
        try:
            account = caller.let_in()
            self._check_faults(request)
            answer = await handler(request, account)
        except Refusal as refusal:
            return self.dialect.refuse(refusal, address_of(request))
        except Exception:  # a client expects its vendor's shape here too
            logger.exception("%s %s broke", request.method, request.url.path)
            return self.dialect.refuse(_broken(), address_of(request))
        if self._strikes("server_error_after_accept", request):
            return self.dialect.refuse(_broken(), address_of(request))
        return answer

    def _check_faults(self, request: Request) -> None:
        if self._strikes("key_revoked", request):
            raise _revoked()
        if self._strikes("server_error", request):
            raise _broken()
        if self._strikes("out_of_credits", request):
            raise Refusal(Reason.INSUFFICIENT_CREDITS, "Not enough credits for this job.", required_seconds=1)

    def _account(self, key: str | None) -> Account | None:
        if key is None or key.startswith(self.dialect.foreign_prefix):
            return None
        return self.backend.accounts.find(key)

    def _strikes(self, name: str, request: Request) -> Fault | None:
        return self.backend.faults.strikes(name, f"{request.method} {request.url.path}")

    def _told_to_wait(self, fault: Fault, headers: dict[str, str]) -> dict[str, str]:
        """Give the headers of a 429 that is none of the limit's own."""
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
    grant: Grant

    def let_in(self) -> Account:
        """Give the account of a caller who may come in.

        Raises:
            Refusal: past the limit, or without a key that counts.
        """
        if not self.grant.is_allowed:
            wait = self.grant.retry_after_seconds
            raise Refusal(Reason.RATE_LIMITED, f"Rate limit exceeded. Try again in {wait} seconds.")
        if self.key is None:
            message = "Missing API key: send the header 'Authorization: Bearer <key>'."
            raise Refusal(Reason.MISSING_KEY, message)
        if self.account is None:
            raise Refusal(Reason.UNKNOWN_KEY, "This API key is not known.")
        if self.account.is_revoked:
            raise _revoked()
        return self.account


def _key_of(request: Request) -> str | None:
    """Give the key of a request; one under another scheme than Bearer is none that is known."""
    scheme, _, key = request.headers.get("authorization", "").partition(" ")
    if not key.strip():
        return None
    return key.strip() if scheme.lower() == "bearer" else ""


async def _no_endpoint(request: Request, _: Account) -> Answer:
    raise Refusal(Reason.UNKNOWN_ENDPOINT, f"There is no {request.method} {request.url.path}.")


def _revoked() -> Refusal:
    return Refusal(Reason.REVOKED_KEY, "This API key has been revoked.")


def _broken() -> Refusal:
    return Refusal(Reason.BROKEN, "The service has failed.")
