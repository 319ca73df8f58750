"""`/_faults`: read, set and remove the injected faults while the service runs; from this machine only, and with a key.

GET     what is in force, and how often each has struck
POST    {"faults": [{"fault": "server_error", "nth": [2, 3]}]} puts these in force instead
DELETE  removes them all
"""

from __future__ import annotations

import ipaddress
import json

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from stemline.errors import UsageError
from stemline_local.api.request_reading import MAX_BODY_BYTES
from stemline_local.backend import ServiceBackend
from stemline_local.faults import read_faults

PATH = "/_faults"


def fault_routes(backend: ServiceBackend) -> list[Route]:
    """Give the routes."""

    async def answer(request: Request) -> Response:
        if not _is_from_this_machine(request):
            return _error(403, "Faults are set from the service's own machine only.")
        key = request.headers.get("authorization", "").removeprefix("Bearer ").strip()
        account = backend.accounts.find(key)
        if account is None or account.is_revoked:
            return _error(401, "Send the header 'Authorization: Bearer <key>'.")
        if request.method == "POST":
            return await _set(backend, request)
        if request.method == "DELETE":
            backend.faults.set([])
        return JSONResponse({"faults": backend.faults.as_tree()})

    return [Route(PATH, answer, methods=["GET", "POST", "DELETE"])]


async def _set(backend: ServiceBackend, request: Request) -> Response:
    content = bytearray()
    async for chunk in request.stream():
        content += chunk
        if len(content) > MAX_BODY_BYTES:
            return _error(413, "That is too long.")
    try:
        backend.faults.set(read_faults(json.loads(content)))
    except (ValueError, RecursionError, UsageError) as error:
        return _error(400, str(error))
    return JSONResponse({"faults": backend.faults.as_tree()})


def _is_from_this_machine(request: Request) -> bool:
    """Tell whether a request comes from this machine, and not through a proxy on it."""
    if request.client is None or {"forwarded", "x-forwarded-for"} & set(request.headers):
        return False
    try:
        return ipaddress.ip_address(request.client.host).is_loopback
    except ValueError:
        return False


def _error(status: int, message: str) -> Response:
    return JSONResponse({"error": message}, status)
